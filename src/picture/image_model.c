#include "picture/image_model.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

const char *picture_tokenizer_name(int which) { return which == 0 ? "tokenizer" : "tokenizer_2"; }

void problem_add(struct error *all, bool *good, const struct error *one) {
    struct error so_far = *all;
    if (*good)
        *all = *one;
    else
        error_set(all, so_far.code, "%s; %s", so_far.message, one->message);
    *good = false;
}

static bool read_index(struct image_model *model, struct error *err) {
    _cleanup_json_ json_t *index = picture_read_config(model->folder, "", "model_index.json", err);
    if (!index)
        return false;
    const char *kind = json_get_string(index, "_class_name", "");
    model->zero_negative = json_get_bool(index, "force_zeros_for_empty_prompt", true);
    return strstr(kind, "StableDiffusionXL") != NULL ||
           error_set(err, ERR_MODEL_INVALID,
                     "model_index.json says \"%.80s\": StableDiffusionXLPipeline is what is handled", kind);
}

/* Of the UNet's configuration, which counts in latents; SDXL's own without one. Each level but the last halves the
 * latents, and the way up doubles them: an odd number does not come back. */
static void read_sizes(struct image_model *model) {
    enum { SDXL_SIDE = 128, LEVELS_MOST = 8 };
    struct error none;
    _cleanup_json_ json_t *config = picture_read_config(model->folder, "unet", "config.json", &none);
    int64_t side = json_get_integer(config, "sample_size", SDXL_SIDE) * LATENT_PIXELS;
    size_t levels = MIN(json_array_size(json_object_get(config, "down_block_types")), (size_t)LEVELS_MOST);
    model->usual_side = (int)CLAMP(side, PICTURE_LEAST, PICTURE_MOST);
    model->size_unit = LATENT_PIXELS << (levels > 0 ? levels - 1 : 0);
}

static bool read_scheduler(struct image_model *model, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/scheduler/scheduler_config.json", model->folder);
    return scheduler_config_load(path, &model->scheduler, err);
}

/* ---- tokenizers ---- */

static bool hash_vocabulary(struct image_model *model, struct error *err) {
    static const char *const files[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};
    _cleanup_buffer_ struct buffer sums = {0};
    char hex[SHA256_HEX + 1];
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(files); i++) {
        const char *file = files[i % ARRAY_LENGTH(files)],
                   *folder = picture_tokenizer_name((int)(i / ARRAY_LENGTH(files)));
        _cleanup_free_ char *path = xasprintf("%s/%s/%s", model->folder, folder, file);
        if (!sha256_file(path, hex, NULL, err))
            return false;
        buffer_append_text(&sums, hex);
    }
    unsigned char hash[SHA256_BYTES];
    sha256_of(sums.data, sums.length, hash);
    hex_encode(hash, sizeof hash, model->vocabulary);
    return true;
}

/* A token that the text encoder has no row for would end its run. */
static bool read_tokenizer(struct image_model *model, int which, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", model->folder, picture_tokenizer_name(which));
    model->tokenizers[which] = tokenizer_load(path, err);
    struct error none;
    const char *part = picture_part_name((enum picture_part)which);
    _cleanup_json_ json_t *config = picture_read_config(model->folder, part, "config.json", &none);
    size_t size = model->tokenizers[which] ? tokenizer_size(model->tokenizers[which]) : 0;
    int64_t rows = json_get_integer(config, "vocab_size", INT64_MAX);
    if (size > 0 && rows < (int64_t)size)
        return error_set(err, ERR_MODEL_INVALID, "%s has %zu tokens, %s/config.json says %lld", path, size, part,
                         (long long)rows);
    return size > 0;
}

/* ---- networks ---- */

bool image_model_check_file(const char *folder, const char *file, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
    if (access(path, R_OK) != 0)
        return error_set(err, ERR_MODEL_NOT_FOUND, "there is no %s that can be read", file);
    return path_is_inside(path, folder) ||
           error_set(err, ERR_MODEL_INVALID, "%s leads out of the model's folder: copy the files behind the links",
                     file);
}

struct modules *image_model_read_part(const char *folder, const char *part, struct error *err) {
    _cleanup_free_ char *network = xasprintf("%s/model.onnx", part), *path = xasprintf("%s/%s", folder, network);
    _cleanup_modules_ struct modules *modules =
        image_model_check_file(folder, network, err) ? modules_open(path, part, err) : NULL;
    const char *file;
    for (size_t i = 0; modules && (file = modules_file(modules, i)); i++) {
        _cleanup_free_ char *beside = xasprintf("%s/%s", part, file);
        if (!image_model_check_file(folder, beside, err)) {
            error_wrap(err, "%s", network);
            return NULL;
        }
    }
    return steal(modules);
}

/* No LoRA changes the VAE. */
static void list_modules(struct image_model *model) {
    struct lora_module *modules = NULL;
    size_t count = 0;
    for (enum picture_part part = 0; part < PICTURE_DECODER; part++) {
        model->first[part] = count;
        for (size_t i = 0; i < modules_count(model->parts[part]); i++) {
            const struct module *module = modules_get(model->parts[part], i);
            modules = xgrown(modules, count, sizeof *modules);
            modules[count++] = (struct lora_module){module->name, module->rows, module->columns, module->transposed};
        }
    }
    model->first[PICTURE_DECODER] = count;
    model->loras = lora_model_new(modules, count);
    free(modules);
}

struct image_model *image_model_open(const char *folder, struct error *err) {
    _cleanup_image_model_ struct image_model *model = xnew(struct image_model);
    struct error why;
    bool good = true;
    model->references = 1;
    model->folder = xstrdup(folder);
    read_sizes(model);
    if (!read_index(model, &why))
        problem_add(err, &good, &why);
    if (!read_scheduler(model, &why))
        problem_add(err, &good, &why);
    for (int i = 0; i < 2; i++)
        if (!read_tokenizer(model, i, &why))
            problem_add(err, &good, &why);
    for (enum picture_part part = 0; part < PICTURE_PARTS; part++)
        if (!(model->parts[part] = image_model_read_part(folder, picture_part_name(part), &why)))
            problem_add(err, &good, &why);
    if (!good || !hash_vocabulary(model, err)) {
        error_wrap(err, "%s", folder);
        return NULL;
    }
    list_modules(model);
    return steal(model);
}

struct image_model *image_model_keep(struct image_model *model) {
    model->references++;
    return model;
}

void image_model_release(struct image_model *model) {
    if (--model->references > 0)
        return;
    for (int i = 0; i < 2; i++)
        tokenizer_free_cleanup(&model->tokenizers[i]);
    for (int part = 0; part < PICTURE_PARTS; part++)
        modules_close_cleanup(&model->parts[part]);
    lora_model_free_cleanup(&model->loras);
    free(model->folder);
    free(model);
}

char *image_model_file(const struct image_model *model, enum picture_part part) {
    return xasprintf("%s/%s/model.onnx", model->folder, picture_part_name(part));
}

int64_t image_model_memory(const struct image_model *model, enum picture_part part, const struct device *device) {
    struct weight_sum sum = modules_sum(model->parts[part]);
    int64_t bytes = device->kind == DEVICE_CPU ? sum.numbers * 2 * (int64_t)sizeof(float) : sum.bytes;
    return (bytes >> 20) + 1;
}
