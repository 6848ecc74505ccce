#include "picture/recipe.h"

#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

json_t *recipe_of_part(const struct images *images, const struct image_part *part) {
    struct image_prompt prompt = images->prompts[part->prompt];
    prompt.seed += (uint32_t)part->first;
    prompt.count = part->count;
    struct images one = *images;
    one.prompts = &prompt;
    one.prompt_count = 1;
    one.sheet = false;
    return images_to_json(&one);
}

/* As that program names them. */
static const char *sampler_name(const char *scheduler) {
    static const char *const names[][2] = {
        {"euler", "Euler"}, {"euler_ancestral", "Euler a"}, {"dpmpp_2m", "DPM++ 2M"}, {"lcm", "LCM"}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(scheduler, names[i][0]) == 0)
            return names[i][1];
    return scheduler;
}

static void add_lora_hashes(struct buffer *out, const json_t *loras) {
    size_t i;
    json_t *lora;
    json_array_foreach (loras, i, lora)
        buffer_appendf(out, "%s%s: %.12s", i ? ", " : ", Lora hashes: \"", json_get_string(lora, "name", ""),
                       json_get_string(lora, "sha256", ""));
    if (i > 0)
        buffer_append_text(out, "\"");
}

char *recipe_parameters(const struct images *images, const struct image_prompt *prompt, uint32_t seed, int width,
                        int height, const json_t *origin) {
    const json_t *model = json_object_get(origin, "model"), *scheduler = json_object_get(origin, "scheduler");
    struct buffer out = {0};
    buffer_append_text(&out, prompt->text);
    if (prompt->negative)
        buffer_appendf(&out, "\nNegative prompt: %s", prompt->negative);
    buffer_appendf(&out,
                   "\nSteps: %d, Sampler: %s%s, CFG scale: %.6g, Seed: %u, Size: %dx%d, Model hash: %.10s, Model: %s",
                   prompt->steps, sampler_name(json_get_string(scheduler, "name", "")),
                   json_get_bool(scheduler, "karras", false) ? " Karras" : "", prompt->guidance, seed, width, height,
                   json_get_string(model, "sha256", ""), images->model);
    add_lora_hashes(&out, json_object_get(origin, "loras"));
    return buffer_steal(&out);
}
