#include "diffusion/lora.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "diffusion/half.h"
#include "diffusion/lora_names.h"
#include "diffusion/safetensors.h"

struct lora_model {
    struct lora_module *modules; /* owned, and their names */
    size_t count;
    json_t *names;       /* all that files have: index */
    int64_t cross_width; /* of the UNet's cross attention; 0: it has none */
};

/* What a file has for one module; borrowed of the file. */
struct lora_entry {
    const struct tensor_entry *parts[LORA_PARTS];
    int64_t rank; /* 0: nothing */
    float scale;
};

struct lora {
    struct safetensors *file;
    struct lora_entry *entries; /* one for each module of the model */
    size_t count;               /* of them */
    size_t matched;
    json_t *unmatched;
};

/* --- the model --- */

static bool is_cross_key(const char *name) { return strstr(name, "attn2") && strstr(name, "to_k"); }

struct lora_model *lora_model_new(const struct lora_module *modules, size_t count) {
    struct lora_model *model = xnew(struct lora_model);
    model->modules = xnew_array(struct lora_module, count);
    model->count = count;
    model->names = json_object();
    for (size_t i = 0; i < count; i++) {
        model->modules[i] = modules[i];
        model->modules[i].name = xstrdup(modules[i].name);
        if (is_cross_key(modules[i].name))
            model->cross_width = modules[i].columns;
    }
    lora_fill_names(modules, count, model->names);
    return model;
}

void lora_model_free(struct lora_model *model) {
    for (size_t i = 0; i < model->count; i++)
        free((char *)model->modules[i].name);
    free(model->modules);
    json_decref(model->names);
    free(model);
}

/* --- a file: whose is it --- */

static const char *family_of_width(int64_t width) {
    switch (width) {
    case 768:
        return "Stable Diffusion 1";
    case 1024:
        return "Stable Diffusion 2";
    case 2048:
        return "SDXL";
    default:
        return "another model";
    }
}

/* The models that people have LoRAs for differ in how wide the text is that they attend to. */
static bool check_family(const struct lora_model *model, const struct tensor_entry *tensor, enum lora_part part,
                         struct error *err) {
    if (strstr(tensor->name, "double_blocks") || strstr(tensor->name, "single_blocks") ||
        strstr(tensor->name, "single_transformer_blocks"))
        return error_set(err, ERR_LORA_UNSUPPORTED, "it was made for Flux: \"%s\"", tensor->name);
    int64_t width = tensor->rank >= 2 ? tensor->shape[1] : 0;
    if (part != LORA_DOWN || !is_cross_key(tensor->name) || !model->cross_width || width == model->cross_width)
        return true;
    return error_set(err, ERR_LORA_UNSUPPORTED,
                     "it was made for %s: its cross attention is %lld wide, the model's %lld (\"%s\")",
                     family_of_width(width), (long long)width, (long long)model->cross_width, tensor->name);
}

static bool place_tensor(struct lora *lora, const struct lora_model *model, const struct tensor_entry *tensor,
                         struct error *err) {
    enum lora_part part = LORA_PARTS;
    const char *other = lora_other_kind(tensor->name);
    if (other)
        return error_set(err, ERR_LORA_UNSUPPORTED, "it is %s, which is not supported: \"%s\"", other, tensor->name);
    _cleanup_free_ char *name = xstrndup(tensor->name, lora_split_name(tensor->name, &part));
    if (!check_family(model, tensor, part, err))
        return false;
    json_int_t index = *name ? json_get_integer(model->names, name, -1) : -1;
    if (index < 0)
        return json_array_append_new(lora->unmatched, json_string(tensor->name)) == 0;
    const struct tensor_entry **place = &lora->entries[index].parts[part];
    if (*place)
        return error_set(err, ERR_WEIGHTS_INVALID, "\"%s\" and \"%s\" are the same", (*place)->name, tensor->name);
    *place = tensor;
    return true;
}

/* --- scales --- */

/* PEFT says which modules have another alpha by the ends of their names; a regular expression may be one too. */
static bool find_pattern(const json_t *patterns, const char *path, double *alpha, struct error *err) {
    const char *pattern;
    json_t *value;
    json_object_foreach ((json_t *)patterns, pattern, value) {
        size_t length = strlen(path), tail = strlen(pattern);
        if (strpbrk(pattern, "^$*+?()[]|\\"))
            return error_set(err, ERR_LORA_UNSUPPORTED, "its alpha_pattern \"%s\" is not a plain name", pattern);
        if (length >= tail && strcmp(path + length - tail, pattern) == 0 &&
            (length == tail || path[length - tail - 1] == '.'))
            *alpha = json_number_value(value);
    }
    return true;
}

/* PEFT's alpha, from the file's metadata: {"unet.r": 4, "unet.lora_alpha": 2, "unet.alpha_pattern": {...}, ...}. */
static bool read_adapter(const json_t *adapter, const char *module, double rank, double *scale, struct error *err) {
    const char *path = strchr(module, '.') + 1;
    _cleanup_free_ char *folder = xstrndup(module, (size_t)(path - module));
    _cleanup_free_ char *alpha_key = xasprintf("%slora_alpha", folder),
                        *patterns = xasprintf("%salpha_pattern", folder);
    _cleanup_free_ char *dora = xasprintf("%suse_dora", folder), *rslora = xasprintf("%suse_rslora", folder);
    if (json_get_bool(adapter, dora, false))
        return error_set(err, ERR_LORA_UNSUPPORTED, "it is DoRA, which is not supported");
    double alpha = json_get_number(adapter, alpha_key, 0);
    if (!find_pattern(json_object_get(adapter, patterns), path, &alpha, err))
        return false;
    if (alpha != 0)
        *scale = alpha / (json_get_bool(adapter, rslora, false) ? sqrt(rank) : rank);
    return true;
}

static bool read_scale(struct lora *lora, const struct lora_module *module, const json_t *adapter,
                       struct lora_entry *entry, struct error *err) {
    const struct tensor_entry *tensor = entry->parts[LORA_ALPHA];
    double rank = (double)entry->rank, scale = 1;
    float alpha = 0;
    if (tensor && tensor->count != 1)
        return error_set(err, ERR_WEIGHTS_INVALID, "\"%s\" is not one number", tensor->name);
    if (tensor && !safetensors_read(lora->file, tensor, &alpha, err))
        return false;
    if (tensor && alpha != 0)
        scale = alpha / rank;
    else if (!tensor && adapter && !read_adapter(adapter, module->name, rank, &scale, err))
        return false;
    entry->scale = (float)scale;
    return isfinite(entry->scale) || error_set(err, ERR_WEIGHTS_INVALID, "the alpha of %s is not finite", module->name);
}

/* --- shapes --- */

/* Down is [rank][inputs, kernel], up [outputs][rank], of a convolution with ones behind. */
static bool read_rank(const struct lora_module *module, struct lora_entry *entry, struct error *err) {
    const struct tensor_entry *down = entry->parts[LORA_DOWN], *up = entry->parts[LORA_UP];
    if (!down || !up)
        return error_set(err, ERR_WEIGHTS_INVALID, "%s has not both a down and an up", module->name);
    int64_t rank = entry->rank = down->rank >= 2 ? down->shape[0] : 0;
    if (rank >= 1 && rank <= down->count && up->rank >= 2 && up->shape[0] == module->rows &&
        up->count == module->rows * rank && down->count == rank * module->columns)
        return true;
    return error_set(err, ERR_LORA_UNSUPPORTED,
                     "it was made for another model: \"%s\" and \"%s\" do not fit %s of %lld by %lld", down->name,
                     up->name, module->name, (long long)module->rows, (long long)module->columns);
}

static bool finish_entries(struct lora *lora, const struct lora_model *model, struct error *err) {
    struct error no_json;
    const char *text = safetensors_metadata(lora->file, "lora_adapter_metadata");
    _cleanup_json_ json_t *adapter = text ? json_parse(text, strlen(text), &no_json) : NULL;
    for (size_t i = 0; i < model->count; i++) {
        struct lora_entry *entry = &lora->entries[i];
        if (!entry->parts[LORA_DOWN] && !entry->parts[LORA_UP] && !entry->parts[LORA_ALPHA])
            continue;
        if (!read_rank(&model->modules[i], entry, err) || !read_scale(lora, &model->modules[i], adapter, entry, err))
            return false;
        lora->matched++;
    }
    return lora->matched > 0 || error_set(err, ERR_LORA_NO_MATCH, "none of its %zu tensors belongs to the model",
                                          json_array_size(lora->unmatched));
}

static bool lora_read(struct lora *lora, const char *path, const struct lora_model *model, struct error *err) {
    lora->unmatched = json_array();
    lora->entries = xnew_array(struct lora_entry, model->count);
    lora->count = model->count;
    lora->file = safetensors_open(path, err);
    if (!lora->file)
        return false;
    size_t count;
    const struct tensor_entry *tensors = safetensors_entries(lora->file, &count);
    for (size_t i = 0; i < count; i++)
        if (!place_tensor(lora, model, &tensors[i], err))
            return error_wrap(err, "%s", path);
    return finish_entries(lora, model, err) || error_wrap(err, "%s", path);
}

struct lora *lora_open(const char *path, const struct lora_model *model, struct error *err) {
    _cleanup_lora_ struct lora *lora = xnew(struct lora);
    return lora_read(lora, path, model, err) ? steal(lora) : NULL;
}

void lora_close(struct lora *lora) {
    if (lora->file)
        safetensors_close(lora->file);
    free(lora->entries);
    json_decref(lora->unmatched);
    free(lora);
}

size_t lora_matched(const struct lora *lora) { return lora->matched; }

const json_t *lora_unmatched(const struct lora *lora) { return lora->unmatched; }

bool lora_touches(const struct lora *lora, size_t module) { return lora->entries[module].rank > 0; }

/* --- merging --- */

enum { LANES = 64 };

/* out += scale * left (1 x rank) right (rank x lanes of `count`). The sum over the rank goes in its order, so that the
 * same product of a transposed weight has the same bits. */
static inline __attribute__((always_inline)) void merge_lanes(const float *left, const float *right, int64_t rank,
                                                              int64_t count, int64_t lanes, float scale, float *out) {
    float sums[LANES] = {0};
    for (int64_t k = 0; k < rank; k++)
        for (int64_t i = 0; i < lanes; i++)
            sums[i] += left[k] * right[k * count + i];
    for (int64_t i = 0; i < lanes; i++)
        out[i] += scale * sums[i];
}

struct product {
    const float *left, *right; /* [rows][rank], [rank][columns] */
    int64_t rows, rank, columns;
    float scale;
};

/* Whole lanes first: their number is known, so the sums stay in registers. */
static inline __attribute__((always_inline)) void merge_rows(const struct product *p, float *out) {
    int64_t whole = p->columns / LANES * LANES;
    for (int64_t row = 0; row < p->rows; row++) {
        const float *left = p->left + row * p->rank;
        float *to = out + row * p->columns;
        for (int64_t at = 0; at < whole; at += LANES)
            merge_lanes(left, p->right + at, p->rank, p->columns, LANES, p->scale, to + at);
        merge_lanes(left, p->right + whole, p->rank, p->columns, p->columns - whole, p->scale, to + whole);
    }
}

__attribute__((target("avx2"))) static void merge_rows_fast(const struct product *p, float *out) { merge_rows(p, out); }

static void add_product(const struct product *p, float *out) {
    if (__builtin_cpu_supports("avx2"))
        merge_rows_fast(p, out);
    else
        merge_rows(p, out);
}

/* [rows][columns] to [columns][rows]. */
static float *transposed(const float *in, int64_t rows, int64_t columns) {
    float *out = xnew_array(float, (size_t)(rows * columns));
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < columns; column++)
            out[column * rows + row] = in[row * columns + column];
    return out;
}

static bool add_lora(const struct lora_use *use, const struct lora_module *module, const struct lora_entry *entry,
                     float *out, struct error *err) {
    const struct tensor_entry *down = entry->parts[LORA_DOWN], *up = entry->parts[LORA_UP];
    int64_t rank = entry->rank;
    _cleanup_free_ float *a = xnew_array(float, (size_t)down->count), *b = xnew_array(float, (size_t)up->count);
    if (!safetensors_read(use->lora->file, down, a, err) || !safetensors_read(use->lora->file, up, b, err))
        return false;
    float scale = use->weight * entry->scale;
    if (!module->transposed) {
        add_product(&(struct product){b, a, module->rows, rank, module->columns, scale}, out);
        return true;
    }
    _cleanup_free_ float *left = transposed(a, rank, module->columns), *right = transposed(b, module->rows, rank);
    add_product(&(struct product){left, right, module->columns, rank, module->rows, scale}, out);
    return true;
}

/* Infinity is no weight, nor is what float16 would make one. */
static bool all_below(const float *values, size_t count, float limit) {
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(values[i]) < limit))
            return false;
    return true;
}

static bool check_values(const struct lora *lora, const struct tensor_entry *tensor, struct error *err) {
    _cleanup_free_ float *values = xnew_array(float, (size_t)tensor->count);
    return safetensors_read(lora->file, tensor, values, err) &&
           (all_below(values, (size_t)tensor->count, INFINITY) ||
            error_set(err, ERR_WEIGHTS_INVALID, "\"%s\" has values that are not finite", tensor->name));
}

bool lora_check_values(const struct lora *lora, struct error *err) {
    for (size_t i = 0; i < lora->count; i++)
        if (lora_touches(lora, i) && (!check_values(lora, lora->entries[i].parts[LORA_DOWN], err) ||
                                      !check_values(lora, lora->entries[i].parts[LORA_UP], err)))
            return false;
    return true;
}

bool lora_merge(const struct lora_use *uses, size_t count, const struct lora_model *model, size_t module, bool half,
                const void *base, void *out, struct error *err) {
    const struct lora_module *of = &model->modules[module];
    size_t values = (size_t)(of->rows * of->columns);
    _cleanup_free_ float *sum = xnew_array(float, values);
    if (half)
        half_to_float(base, sum, values);
    else
        memcpy(sum, base, values * sizeof *sum);
    for (size_t i = 0; i < count; i++) {
        const struct lora_entry *entry = &uses[i].lora->entries[module];
        if (lora_touches(uses[i].lora, module) && uses[i].weight != 0 && !add_lora(&uses[i], of, entry, sum, err))
            return error_wrap(err, "%s", of->name);
    }
    if (!all_below(sum, values, half ? 65520 : INFINITY))
        return error_set(err, ERR_WEIGHTS_INVALID, "%s is not finite with the LoRAs merged", of->name);
    if (half)
        half_from_float(sum, out, values);
    else
        memcpy(out, sum, values * sizeof *sum);
    return true;
}
