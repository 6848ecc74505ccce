/* Runs one part of the diffusion room on what it is given and prints what it gave, for the tests in this folder. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
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

/* SEED COUNT...: one line for each draw of one generator. */
static bool print_noise(char **arguments, struct error *err) {
    struct noise noise;
    (void)err;
    noise_seed(&noise, (uint32_t)strtoul(arguments[0], NULL, 10));
    for (char **at = arguments + 1; at[0]; at++) {
        size_t count = strtoul(at[0], NULL, 10);
        _cleanup_free_ float *values = xnew_array(float, count);
        noise_draw(&noise, values, count);
        _cleanup_json_ json_t *line = number_array(values, (int)count);
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

/* --- weights --- */

/* FILE: one line a tensor, with its values where they are floats; then the metadata "key". */
static bool print_tensors(char **arguments, struct error *err) {
    _cleanup_safetensors_ struct safetensors *file = safetensors_open(arguments[0], err);
    if (!file)
        return false;
    size_t count;
    const struct tensor_entry *entries = safetensors_entries(file, &count);
    for (size_t i = 0; i < count; i++) {
        const struct tensor_entry *entry = &entries[i];
        struct error no_floats;
        _cleanup_free_ float *values = xnew_array(float, (size_t)entry->count + 1);
        bool read = safetensors_read(file, entry, values, &no_floats);
        json_t *shape = json_array();
        for (int k = 0; k < entry->rank; k++)
            json_array_append_new(shape, json_integer(entry->shape[k]));
        _cleanup_json_ json_t *line =
            json_pack("{s:s, s:s, s:o, s:o}", "name", entry->name, "type", entry->type, "shape", shape, "values",
                      read ? number_array(values, (int)entry->count) : json_null());
        _cleanup_free_ char *text = json_line(line);
        puts(text);
    }
    _cleanup_json_ json_t *key = json_string(safetensors_metadata(file, "key"));
    _cleanup_free_ char *text = json_line(key);
    puts(text);
    return true;
}

enum { LORAS = 4, MODULES = 2048 };

/* Merges into the raw file of module `index` and writes the result to OUT/INDEX. */
static bool merge_module(const struct lora_use *uses, size_t count, const struct lora_model *model,
                         const json_t *module, size_t index, const char *out, struct error *err) {
    _cleanup_buffer_ struct buffer base = {0};
    _cleanup_free_ char *path = xasprintf("%s/%zu", out, index);
    bool half = json_get_bool(module, "half", false);
    return file_read(json_get_string(module, "file", ""), SIZE_MAX / 2, &base, err) &&
           lora_merge(uses, count, model, index, half, base.data, base.data, err) &&
           file_write_atomic(path, base.data, base.length, 0644, err);
}

static json_t *touched(const struct lora *lora, size_t modules) {
    json_t *list = json_array();
    for (size_t i = 0; i < modules; i++)
        if (lora_touches(lora, i))
            json_array_append_new(list, json_integer((json_int_t)i));
    return list;
}

static bool merge_all(const json_t *modules, const struct lora_model *model, char **arguments, struct error *err) {
    struct lora *loras[LORAS];
    struct lora_use uses[LORAS];
    size_t count = 0;
    bool done = true;
    for (char **at = arguments + 2; done && at[0]; at += 2) {
        loras[count] = lora_open(at[0], model, err);
        if (!(done = loras[count] != NULL))
            break;
        uses[count] = (struct lora_use){loras[count], strtof(at[1], NULL)};
        _cleanup_json_ json_t *line =
            json_pack("{s:I, s:O, s:o}", "matched", (json_int_t)lora_matched(loras[count]), "unmatched",
                      lora_unmatched(loras[count]), "touched", touched(loras[count], json_array_size(modules)));
        _cleanup_free_ char *text = json_line(line);
        puts(text);
        count++;
    }
    for (size_t i = 0; done && i < json_array_size(modules); i++)
        done = merge_module(uses, count, model, json_array_get(modules, i), i, arguments[1], err);
    while (count > 0)
        lora_close(loras[--count]);
    return done;
}

/* MODEL OUT [LORA WEIGHT]...: MODEL is a JSON array of modules, each with the raw file of its weight. */
static bool print_merge(char **arguments, struct error *err) {
    _cleanup_json_ json_t *modules = json_load_file(arguments[0], 0, NULL);
    static struct lora_module list[MODULES];
    size_t i;
    json_t *module;
    json_array_foreach (modules, i, module)
        list[i] =
            (struct lora_module){json_get_string(module, "name", ""), json_get_integer(module, "rows", 0),
                                 json_get_integer(module, "columns", 0), json_get_bool(module, "transposed", false)};
    _cleanup_lora_model_ struct lora_model *model = lora_model_new(list, json_array_size(modules));
    return merge_all(modules, model, arguments, err);
}

static const struct {
    const char *name;
    bool (*run)(char **arguments, struct error *err);
    int arguments;
} commands[] = {
    {"schedule", print_schedule, 7}, {"noise", print_noise, 2}, {"prompts", print_prompts, 4},
    {"tensors", print_tensors, 1},   {"merge", print_merge, 2},
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
