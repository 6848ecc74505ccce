/* Runs one part of the diffusion room on what it is given and prints what it gave, for the tests in this folder. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "diffusion/diffusion.h"

/* --- schedulers --- */

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

/* --- prompts --- */

static json_t *chunk_arrays(const struct prompt *prompt, bool weights) {
    json_t *chunks = json_array();
    for (int chunk = 0; chunk < prompt->chunks; chunk++) {
        json_t *row = json_array();
        for (int i = 0; i < TOKENIZER_LENGTH; i++) {
            int at = chunk * TOKENIZER_LENGTH + i;
            json_array_append_new(row, weights ? json_real(prompt->weights[at]) : json_integer(prompt->ids[at]));
        }
        json_array_append_new(chunks, row);
    }
    return chunks;
}

static json_t *encode(const struct tokenizer *tokenizer, const char *text, const struct prompt_options *options,
                      int pad) {
    struct error err;
    _cleanup_prompt_ struct prompt prompt = {0};
    if (!prompt_encode(tokenizer, text, options, &prompt, &err))
        return json_pack("{s:s, s:s}", "error", error_name(err.code), "message", err.message);
    prompt_pad(&prompt, tokenizer, pad);
    return json_pack("{s:o, s:o, s:I, s:I, s:s?}", "ids", chunk_arrays(&prompt, false), "weights",
                     chunk_arrays(&prompt, true), "tokens", (json_int_t)prompt.tokens, "cut", (json_int_t)prompt.cut,
                     "cut_text", prompt.cut_text);
}

/* FOLDER WEIGHTED CHUNKS PAD: one line for each of the JSON array of prompts on stdin. */
static bool print_prompts(char **arguments, struct error *err) {
    _cleanup_tokenizer_ struct tokenizer *tokenizer = tokenizer_load(arguments[0], err);
    struct prompt_options options = {arguments[1][0] == '1', (int)strtol(arguments[2], NULL, 10)};
    if (!tokenizer)
        return false;
    _cleanup_json_ json_t *prompts = json_loadf(stdin, 0, NULL);
    size_t i;
    json_t *prompt;
    json_array_foreach (prompts, i, prompt) {
        int pad = (int)strtol(arguments[3], NULL, 10);
        _cleanup_json_ json_t *line = encode(tokenizer, json_string_value(prompt), &options, pad);
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
    {"prompts", print_prompts, 4},
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
