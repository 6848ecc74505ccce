/* Runs one part of the diffusion room on what it is given and prints what it gave, for the tests in this folder. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "diffusion/diffusion.h"

static json_t *number_array(const float *values, int count) {
    json_t *array = json_array();
    for (int i = 0; values && i < count; i++)
        json_array_append_new(array, json_real(values[i]));
    return array;
}

/* The noise that a test can foresee: no two alike. */
static void fill_noise(float *noise, size_t count, int step) {
    for (size_t i = 0; i < count; i++)
        noise[i] = (float)(step + 1) * 0.5F - (float)i;
}

/* What comes of latents when the network says slope * its input + 0.1: [noise used at each step, latents at each]. */
static json_t *run_linear(struct scheduler *scheduler, int steps, double slope) {
    float latents[3] = {1, -0.5F, 0.25F}, input[3], output[3], noise[3];
    json_t *list = json_array();
    for (int i = 0; i < 3; i++)
        latents[i] *= scheduler_first_scale(scheduler);
    for (int step = 0; step < steps; step++) {
        bool noisy = scheduler_takes_noise(scheduler, step);
        scheduler_scale_input(scheduler, step, latents, input, 3);
        for (int i = 0; i < 3; i++)
            output[i] = (float)slope * input[i] + 0.1F;
        fill_noise(noise, 3, step);
        scheduler_step(scheduler, step, output, noisy ? noise : NULL, latents, 3);
        json_array_append_new(list, json_pack("[b, o]", noisy, number_array(latents, 3)));
    }
    return list;
}

/* CONFIG NAME SPACING KARRAS FIRST LAST SLOPE: one line for each number of steps; "-" and -1 choose nothing. */
static bool print_schedule(char **arguments, struct error *err) {
    struct scheduler_config config;
    struct scheduler_choice choice = {arguments[1], arguments[2], (int)strtol(arguments[3], NULL, 10)};
    choice.name = choice.name[0] == '-' ? NULL : choice.name;
    choice.spacing = choice.spacing[0] == '-' ? NULL : choice.spacing;
    if (!scheduler_config_load(arguments[0], &config, err) || !scheduler_config_choose(&config, &choice, err))
        return false;
    for (int steps = (int)strtol(arguments[4], NULL, 10); steps <= strtol(arguments[5], NULL, 10); steps++) {
        _cleanup_scheduler_ struct scheduler *scheduler = scheduler_new(&config, steps, err);
        if (!scheduler)
            return false;
        _cleanup_json_ json_t *line = json_pack(
            "{s:o, s:o, s:f, s:o}", "times", number_array(scheduler_times(scheduler), steps), "sigmas",
            number_array(scheduler_sigmas(scheduler), steps + 1), "first_scale", scheduler_first_scale(scheduler),
            "linear", run_linear(scheduler, steps, strtod(arguments[6], NULL)));
        _cleanup_free_ char *text = json_line(line);
        puts(text);
    }
    return true;
}

static const struct {
    const char *name;
    bool (*run)(char **arguments, struct error *err);
    int arguments;
} commands[] = {
    {"schedule", print_schedule, 7},
};

int main(int count, char **arguments) {
    struct error err;
    for (size_t i = 0; i < ARRAY_LENGTH(commands) && count > 1; i++)
        if (strcmp(arguments[1], commands[i].name) == 0 && count >= 2 + commands[i].arguments) {
            if (commands[i].run(arguments + 2, &err))
                return 0;
            fprintf(stderr, "%s: %s\n", error_name(err.code), err.message);
            return 1;
        }
    fprintf(stderr, "usage: diffusion_tool COMMAND ARGUMENT...; see diffusion_tool.c\n");
    return 2;
}
