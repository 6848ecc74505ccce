#include "farm/image_spec.h"

#include <math.h>
#include <string.h>

#include "base/digest.h"
#include "base/memory.h"
#include "farm/limits.h"
#include "farm/names.h"

enum {
    PROMPT_BYTES = 8192, /* 1,200 tokens, which is all that sixteen chunks hold */
    STEPS_MAX = 500,
    USUAL_STEPS = 30,
    SIDE_MIN = 64,
    SIDE_MAX = 4096,
};

static const double usual_guidance = 5; /* diffusers' own for SDXL */

static const char *const schedulers[] = {"euler", "euler_ancestral", "dpmpp_2m", "lcm"};
static const char *const spacings[] = {"linspace", "leading", "trailing"};
/* Of a prompt; "defaults" has the same but the prompt. */
static const char *const members[] = {"prompt",  "negative_prompt", "seed",     "count",   "width",
                                      "height",  "steps",           "guidance", "rescale", "scheduler",
                                      "spacing", "loras",           "enhance",  NULL};

/* ---- one prompt ---- */

static bool is_null(const json_t *object, const char *key) { return json_is_null(json_object_get(object, key)); }

static bool member_is_given(const json_t *object, const char *key) {
    return json_object_get(object, key) && !is_null(object, key);
}

/* What is drawn when nobody chose: 32 bits of the hash of campaign and number. */
static uint32_t drawn_seed(const char *campaign, size_t number) {
    _cleanup_free_ char *text = xasprintf("seed %s %zu", campaign, number);
    unsigned char hash[SHA256_BYTES];
    sha256_of(text, strlen(text), hash);
    return (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
}

static uint32_t read_seed(struct spec *spec, const json_t *object, const char *path, uint32_t drawn) {
    const json_t *value = json_object_get(object, "seed");
    if (!value || json_is_null(value))
        return drawn;
    json_int_t seed = json_integer_value(value);
    if (!json_is_integer(value) || seed < 0 || seed > UINT32_MAX)
        spec_problem(spec, path, "seed", "is not a whole number from 0 to 4294967295");
    return (uint32_t)seed;
}

/* 0 when it is not given, or wrong. */
static int read_side(struct spec *spec, const json_t *object, const char *key, const char *path) {
    if (!member_is_given(object, key))
        return 0;
    int side = spec_integer(spec, object, key, path, SIDE_MIN, SIDE_MAX, 0);
    if (side % 8 != 0)
        spec_problem(spec, path, key, "is not a multiple of 8");
    return side;
}

static void read_size(struct spec *spec, const json_t *object, const char *path, struct image_prompt *out) {
    struct error err;
    bool wide = member_is_given(object, "width");
    out->width = read_side(spec, object, "width", path);
    out->height = read_side(spec, object, "height", path);
    if (wide != member_is_given(object, "height"))
        spec_problem(spec, path, wide ? "height" : "width", "is missing: give both, or neither for the model's");
    else if (!limit_check(LIMIT_PICTURE_PIXELS, (double)out->width * out->height, "the picture", &err))
        spec_problem(spec, path, "width", err.message);
}

/* "dpmpp_2m" or "dpmpp_2m_karras". */
static void read_picture_scheduler(struct spec *spec, const json_t *object, const char *path,
                                   struct image_prompt *out) {
    static const char karras[] = "_karras";
    out->karras = -1;
    const char *name = is_null(object, "scheduler") ? NULL : spec_string(spec, object, "scheduler", path, false, 1, 32);
    if (!name)
        return;
    size_t length = strlen(name), tail = sizeof karras - 1;
    bool is_karras = length > tail && strcmp(name + length - tail, karras) == 0;
    out->scheduler = xstrndup(name, is_karras ? length - tail : length);
    out->karras = is_karras ? 1 : -1;
    int index;
    bool known = names_find(schedulers, ARRAY_LENGTH(schedulers), out->scheduler, &index);
    if (!known || (is_karras && strcmp(out->scheduler, "lcm") == 0))
        spec_problem(spec, path, "scheduler",
                     "is not euler, euler_ancestral, dpmpp_2m, one of these with _karras, or lcm");
}

static void read_picture_spacing(struct spec *spec, const json_t *object, const char *path, struct image_prompt *out) {
    int index;
    const char *name = is_null(object, "spacing") ? NULL : spec_string(spec, object, "spacing", path, false, 1, 32);
    if (name && !names_find(spacings, ARRAY_LENGTH(spacings), name, &index))
        spec_problem(spec, path, "spacing", "is not linspace, leading or trailing");
    out->spacing = xstrdup(name);
}

static void read_lora(struct spec *spec, const json_t *object, const char *path, struct image_lora *out) {
    static const char *const known[] = {"name", "file", "weight", NULL};
    spec_unknown_members(spec, object, path, known);
    out->name = xstrdup(spec_model_name(spec, object, "name", path, true));
    if (json_object_get(object, "file"))
        spec_uri(spec, object, "file", path, &out->file);
    out->weight = spec_number(spec, object, "weight", path, -4, 4, 1);
}

static void read_loras(struct spec *spec, const json_t *object, const char *path, struct image_prompt *out) {
    const json_t *list = json_object_get(object, "loras");
    size_t count = json_array_size(list);
    if (!list || json_is_null(list))
        return;
    if (!json_is_array(list) || count > IMAGE_LORAS_MAX) {
        spec_problem(spec, path, "loras", "is not a list of up to 8 LoRAs, each {\"name\", \"weight\"}");
        return;
    }
    out->loras = xnew_array(struct image_lora, count);
    out->lora_count = count;
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *where = xasprintf("%s.loras[%zu]", path, i);
        if (json_is_object(json_array_get(list, i)))
            read_lora(spec, json_array_get(list, i), where, &out->loras[i]);
        else
            spec_problem(spec, where, NULL, "is not an object");
    }
}

static void read_settings(struct spec *spec, const json_t *object, const char *path, struct image_prompt *out) {
    if (!is_null(object, "negative_prompt"))
        out->negative = xstrdup(spec_string(spec, object, "negative_prompt", path, false, 0, PROMPT_BYTES));
    out->count = spec_integer(spec, object, "count", path, 1, (int)limit_most(LIMIT_PICTURES), 1);
    read_size(spec, object, path, out);
    out->steps = spec_integer(spec, object, "steps", path, 1, STEPS_MAX, USUAL_STEPS);
    out->guidance = spec_number(spec, object, "guidance", path, 0, 100, usual_guidance);
    out->rescale = spec_number(spec, object, "rescale", path, 0, 1, 0);
    read_picture_scheduler(spec, object, path, out);
    read_picture_spacing(spec, object, path, out);
    read_loras(spec, object, path, out);
    out->enhance = spec_bool(spec, object, "enhance", path, false);
}

static void prompt_clear(struct image_prompt *prompt) {
    for (size_t i = 0; i < prompt->lora_count; i++) {
        free(prompt->loras[i].name);
        free(prompt->loras[i].file);
    }
    free(prompt->loras);
    free(prompt->text);
    free(prompt->negative);
    free(prompt->scheduler);
    free(prompt->spacing);
}

/* ---- all of them ---- */

/* They are read once by themselves, so that a mistake in them is said once and not for each prompt. */
static const json_t *read_defaults(struct spec *spec, const json_t *images) {
    const json_t *defaults = json_object_get(images, "defaults");
    size_t before = json_array_size(spec->problems);
    struct image_prompt prompt = {0};
    if (!defaults)
        return NULL;
    if (!json_is_object(defaults)) {
        spec_problem(spec, "$.images", "defaults", "is not an object");
        return NULL;
    }
    spec_unknown_members(spec, defaults, "$.images.defaults", members + 1);
    read_seed(spec, defaults, "$.images.defaults", 0);
    read_settings(spec, defaults, "$.images.defaults", &prompt);
    prompt_clear(&prompt);
    return json_array_size(spec->problems) == before ? defaults : NULL;
}

static void read_prompt(struct spec *spec, const struct campaign *campaign, const json_t *object,
                        const json_t *defaults, size_t number, struct image_prompt *out) {
    _cleanup_free_ char *path = xasprintf("$.images.prompts[%zu]", number);
    if (!json_is_object(object)) {
        spec_problem(spec, path, NULL, "is not an object {\"prompt\", ...}");
        return;
    }
    spec_unknown_members(spec, object, path, members);
    _cleanup_json_ json_t *whole = json_copy((json_t *)(uintptr_t)object);
    json_object_update_missing(whole, (json_t *)(uintptr_t)defaults);
    out->text = xstrdup(spec_string(spec, whole, "prompt", path, true, 0, PROMPT_BYTES));
    out->seed = read_seed(spec, whole, path, drawn_seed(campaign->id, number));
    read_settings(spec, whole, path, out);
}

static void read_prompts(struct spec *spec, const json_t *images, struct campaign *campaign) {
    const json_t *list = json_object_get(images, "prompts"), *defaults = read_defaults(spec, images);
    struct images *out = &campaign->images;
    size_t count = json_array_size(list);
    struct error err;
    if (!json_is_array(list) || count == 0 || count > (size_t)limit_most(LIMIT_PICTURES)) {
        spec_problem(spec, "$.images", "prompts", "is not a list of 1 to 10000 prompts, each {\"prompt\", ...}");
        return;
    }
    out->prompts = xnew_array(struct image_prompt, count);
    out->prompt_count = count;
    for (size_t i = 0; i < count; i++)
        read_prompt(spec, campaign, json_array_get(list, i), defaults, i, &out->prompts[i]);
    if (!limit_check(LIMIT_PICTURES, (double)images_picture_count(out), "the campaign", &err))
        spec_problem(spec, "$.images", "prompts", err.message);
}

void image_spec_read(struct spec *spec, const json_t *root, struct campaign *campaign) {
    static const char *const known[] = {"model",    "prompts", "defaults",     "sheet",
                                        "metadata", "syntax",  "long_prompts", NULL};
    const json_t *images = json_object_get(root, "images");
    if (!json_is_object(images)) {
        spec_problem(spec, "$", "images", "is not an object {\"model\", \"prompts\", ...}");
        return;
    }
    spec_unknown_members(spec, images, "$.images", known);
    const char *model = spec_model_name(spec, images, "model", "$.images", false);
    const char *syntax = spec_string(spec, images, "syntax", "$.images", false, 1, 16);
    struct images *out = &campaign->images;
    out->model = xstrdup(model ? model : IMAGES_MODEL);
    out->sheet = spec_bool(spec, images, "sheet", "$.images", true);
    out->metadata = spec_bool(spec, images, "metadata", "$.images", true);
    out->long_prompts = spec_bool(spec, images, "long_prompts", "$.images", false);
    out->weighted = syntax && strcmp(syntax, "weighted") == 0;
    if (syntax && !out->weighted && strcmp(syntax, "plain") != 0)
        spec_problem(spec, "$.images", "syntax", "is not plain or weighted");
    read_prompts(spec, images, campaign);
}

/* ---- warnings ---- */

static bool has_size(const struct images *images, size_t before, const struct image_prompt *prompt) {
    for (size_t i = 0; i < before; i++)
        if (images->prompts[i].width == prompt->width && images->prompts[i].height == prompt->height)
            return true;
    return false;
}

void image_spec_warn(const struct campaign *campaign, json_t *warnings) {
    enum { WARNINGS_MAX = 100 };
    const struct images *images = &campaign->images;
    int width, height;
    for (size_t i = 0; i < images->prompt_count && json_array_size(warnings) < WARNINGS_MAX; i++) {
        const struct image_prompt *prompt = &images->prompts[i];
        if (!prompt->width || images_size_is_trained(prompt->width, prompt->height, &width, &height) ||
            has_size(images, i, prompt))
            continue;
        _cleanup_free_ char *path = xasprintf("$.images.prompts[%zu].width", i);
        _cleanup_free_ char *message = xasprintf("%d x %d is no size that SDXL was trained with, which shows in the "
                                                 "pictures; the nearest one is %d x %d",
                                                 prompt->width, prompt->height, width, height);
        json_array_append_new(warnings, json_pack("{s:s,s:s}", "path", path, "message", message));
    }
}

/* ---- writing ---- */

static json_t *lora_to_json(const struct image_lora *lora) {
    return json_pack("{s:s,s:s*,s:f}", "name", lora->name, "file", lora->file, "weight", lora->weight);
}

static json_t *prompt_to_json(const struct image_prompt *prompt) {
    _cleanup_free_ char *scheduler =
        prompt->scheduler ? xasprintf("%s%s", prompt->scheduler, prompt->karras == 1 ? "_karras" : "") : NULL;
    json_t *json =
        json_pack("{s:s,s:s*,s:I,s:i,s:i,s:f,s:s*,s:s*}", "prompt", prompt->text, "negative_prompt", prompt->negative,
                  "seed", (json_int_t)prompt->seed, "count", prompt->count, "steps", prompt->steps, "guidance",
                  prompt->guidance, "scheduler", scheduler, "spacing", prompt->spacing);
    if (prompt->width) {
        json_object_set_new(json, "width", json_integer(prompt->width));
        json_object_set_new(json, "height", json_integer(prompt->height));
    }
    if (prompt->rescale > 0)
        json_object_set_new(json, "rescale", json_real(prompt->rescale));
    if (prompt->enhance)
        json_object_set_new(json, "enhance", json_true());
    for (size_t i = 0; i < prompt->lora_count; i++) {
        if (i == 0)
            json_object_set_new(json, "loras", json_array());
        json_array_append_new(json_object_get(json, "loras"), lora_to_json(&prompt->loras[i]));
    }
    return json;
}

json_t *images_to_json(const struct images *images) {
    json_t *prompts = json_array();
    for (size_t i = 0; i < images->prompt_count; i++)
        json_array_append_new(prompts, prompt_to_json(&images->prompts[i]));
    return json_pack("{s:s,s:b,s:b,s:b,s:s,s:o}", "model", images->model, "sheet", images->sheet, "metadata",
                     images->metadata, "long_prompts", images->long_prompts, "syntax",
                     images->weighted ? "weighted" : "plain", "prompts", prompts);
}

void image_spec_write(const struct campaign *campaign, json_t *out) {
    json_object_set_new(out, "images", images_to_json(&campaign->images));
}

void image_spec_clear(struct campaign *campaign) {
    for (size_t i = 0; i < campaign->images.prompt_count; i++)
        prompt_clear(&campaign->images.prompts[i]);
    free(campaign->images.prompts);
    free(campaign->images.model);
}
