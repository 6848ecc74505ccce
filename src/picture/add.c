#include "picture/add.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "diffusion/sdxl.h"
#include "picture/image_model.h"

static void remove_and_free(char **path) {
    if (*path)
        tree_remove(*path);
    free(*path);
}

static json_t *manifest_new(const char *name, const char *role, int64_t memory_mb, json_t *contract) {
    return json_pack("{ss ss ss ss sI sO}", "name", name, "role", role, "licence", "unknown", "source",
                     "added with mela models add", "memory_mb", (json_int_t)memory_mb, "contract", contract);
}

/* ---- an image model: what it is made of ---- */

static bool list_file(const char *folder, const char *file, json_t *names, struct error *err) {
    json_array_append_new(names, json_string(file));
    return image_model_check_file(folder, file, err);
}

static bool list_optional(const char *folder, const char *file, json_t *names, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
    return access(path, F_OK) != 0 || list_file(folder, file, names, err);
}

static bool list_network(const char *folder, const char *part, const struct modules *modules, json_t *names,
                         struct error *err) {
    _cleanup_free_ char *network = xasprintf("%s/model.onnx", part), *config = xasprintf("%s/config.json", part);
    bool done = list_file(folder, network, names, err) && list_optional(folder, config, names, err);
    const char *file;
    for (size_t i = 0; done && (file = modules_file(modules, i)); i++) {
        _cleanup_free_ char *beside = xasprintf("%s/%s", part, file);
        done = list_file(folder, beside, names, err);
    }
    return done;
}

/* Training needs the encoder too. */
static bool list_vae_encoder(const char *folder, json_t *names, struct error *err) {
    static const char part[] = "vae_encoder";
    _cleanup_free_ char *path = xasprintf("%s/%s/model.onnx", folder, part);
    if (access(path, F_OK) != 0)
        return true;
    _cleanup_modules_ struct modules *modules = image_model_read_part(folder, part, err);
    return modules && list_network(folder, part, modules, names, err);
}

/* Names of the files to copy. */
static bool list_files(const struct image_model *model, json_t *names, struct error *err) {
    static const char *const files[] = {
        "model_index.json",       "scheduler/scheduler_config.json",  "tokenizer/vocab.json",
        "tokenizer/merges.txt",   "tokenizer/tokenizer_config.json",  "tokenizer_2/vocab.json",
        "tokenizer_2/merges.txt", "tokenizer_2/tokenizer_config.json"};
    static const char *const optional[] = {"tokenizer/special_tokens_map.json", "tokenizer_2/special_tokens_map.json"};
    bool done = true;
    for (size_t i = 0; done && i < ARRAY_LENGTH(files); i++)
        done = list_file(model->folder, files[i], names, err);
    for (size_t i = 0; done && i < ARRAY_LENGTH(optional); i++)
        done = list_optional(model->folder, optional[i], names, err);
    for (enum picture_part part = 0; done && part < PICTURE_PARTS; part++)
        done = list_network(model->folder, picture_part_name(part), model->parts[part], names, err);
    return done && list_vae_encoder(model->folder, names, err);
}

/* ---- whether it works ---- */

static bool try_part(const struct image_model *model, struct picture_networks *networks, enum picture_part part,
                     struct error *err) {
    static const struct device cpu = {.kind = DEVICE_CPU};
    _cleanup_free_ char *path = image_model_file(model, part);
    _cleanup_session_ struct session *session = session_open(path, &cpu, NULL, err);
    return session && picture_networks_bind(networks, model->folder, part, session, err);
}

/* One after the other, since together they may not fit here. */
static bool try_parts(const struct image_model *model, struct error *err) {
    _cleanup_picture_networks_ struct picture_networks *networks = picture_networks_new();
    struct error why;
    bool good = true;
    for (enum picture_part part = 0; part < PICTURE_PARTS; part++)
        if (!try_part(model, networks, part, &why))
            problem_add(err, &good, &why);
    return good;
}

/* ---- what was found ---- */

static json_t *describe_part(const struct image_model *model, enum picture_part part) {
    const struct modules *modules = model->parts[part];
    bool has_any = modules_count(modules) > 0, is_changed = part != PICTURE_DECODER;
    return json_pack("{s:s,s:s,s:I,s:I,s:I}", "part", picture_part_name(part), "type",
                     has_any ? tensor_type_name(modules_get(modules, 0)->weight.type) : "unknown", "bytes",
                     (json_int_t)modules_sum(modules).bytes, "modules",
                     (json_int_t)(is_changed ? modules_count(modules) : 0), "shared",
                     (json_int_t)(is_changed ? modules_shared(modules) : 0));
}

static json_t *describe_model(const struct image_model *model) {
    static const struct device devices[] = {{.kind = DEVICE_CPU}, {.kind = DEVICE_CUDA}};
    json_t *parts = json_array(), *tokenizers = json_array();
    int64_t memory_mb[] = {0, 0};
    for (enum picture_part part = 0; part < PICTURE_PARTS; part++) {
        json_array_append_new(parts, describe_part(model, part));
        for (int i = 0; i < 2; i++)
            memory_mb[i] += image_model_memory(model, part, &devices[i]);
    }
    for (int i = 0; i < 2; i++)
        json_array_append_new(tokenizers, json_pack("{s:s,s:I}", "tokenizer", picture_tokenizer_name(i), "tokens",
                                                    (json_int_t)tokenizer_size(model->tokenizers[i])));
    return json_pack("{s:o,s:o,s:s,s:{s:I,s:I}}", "parts", parts, "tokenizers", tokenizers, "scheduler",
                     scheduler_kind_name(model->scheduler.kind), "memory_mb", "cpu", (json_int_t)memory_mb[0], "cuda",
                     (json_int_t)memory_mb[1]);
}

bool picture_add_model(struct zoo *zoo, const char *folder, const char *name, struct error *err) {
    _cleanup_json_ json_t *names = json_array(), *files = json_array();
    _cleanup_image_model_ struct image_model *model =
        zoo_check_new_name(zoo, name, err) ? image_model_open(folder, err) : NULL;
    _cleanup_(remove_and_free) char *temporary = NULL;
    if (!model)
        return false;
    if (!list_files(model, names, err))
        return error_wrap(err, "%s", folder);
    if (!try_parts(model, err) || !zoo_copy_folder_in(zoo, folder, names, &temporary, files, err))
        return false;
    _cleanup_json_ json_t *contract = describe_model(model);
    int64_t memory_mb = json_get_integer(json_object_get(contract, "memory_mb"), "cpu", 0);
    _cleanup_json_ json_t *manifest = manifest_new(name, "image", memory_mb, contract);
    json_object_set(manifest, "files", files);
    return zoo_install(zoo, temporary, manifest, err);
}

/* ---- a LoRA ---- */

/* Appends to `fitting` how the LoRA fits a model of the zoo, if it does. False when what it has for it is no number. */
static bool note_fit(const struct zoo *zoo, const char *name, const char *path, json_t *fitting, struct error *err) {
    struct error why; /* a model that cannot be read fits nothing */
    _cleanup_free_ char *folder = zoo_folder(zoo, name, &why);
    _cleanup_image_model_ struct image_model *model = folder ? image_model_open(folder, &why) : NULL;
    _cleanup_lora_ struct lora *lora = model ? lora_open(path, model->loras, &why) : NULL;
    if (!lora)
        return true;
    json_array_append_new(fitting, json_pack("{s:s,s:I,s:I}", "model", name, "matched", (json_int_t)lora_matched(lora),
                                             "unmatched", (json_int_t)json_array_size(lora_unmatched(lora))));
    return lora_check_values(lora, err) || error_wrap(err, "%s", path);
}

static bool note_fits(const struct zoo *zoo, const char *path, json_t *fitting, struct error *err) {
    _cleanup_json_ json_t *models = zoo_list(zoo);
    size_t i;
    json_t *entry;
    json_array_foreach (models, i, entry)
        if (strcmp(json_get_string(entry, "role", ""), "image") == 0 &&
            !note_fit(zoo, json_get_string(entry, "name", ""), path, fitting, err))
            return false;
    return true;
}

static json_t *describe_lora(const struct zoo *zoo, const char *path, struct error *err) {
    _cleanup_json_ json_t *fitting = json_array();
    _cleanup_lora_model_ struct lora_model *sdxl = sdxl_modules();
    if (!note_fits(zoo, path, fitting, err))
        return NULL;
    _cleanup_lora_ struct lora *lora = lora_open(path, sdxl, err);
    if (!lora && json_array_size(fitting) == 0)
        return NULL;
    if (lora && !lora_check_values(lora, err)) {
        error_wrap(err, "%s", path);
        return NULL;
    }
    return json_pack("{s:o,s:O}", "modules", lora ? json_integer((json_int_t)lora_matched(lora)) : json_null(),
                     "models", fitting);
}

bool picture_add_lora(struct zoo *zoo, const char *path, const char *name, struct error *err) {
    _cleanup_(remove_and_free) char *temporary = NULL;
    char sha256[SHA256_HEX + 1];
    int64_t bytes;
    _cleanup_json_ json_t *contract = zoo_check_new_name(zoo, name, err) ? describe_lora(zoo, path, err) : NULL;
    if (!contract || !zoo_copy_in(zoo, path, &temporary, err) || !sha256_file(temporary, sha256, &bytes, err))
        return false;
    _cleanup_free_ char *file = xasprintf("%s.safetensors", name);
    _cleanup_json_ json_t *manifest = manifest_new(name, "lora", bytes >> 20, contract);
    json_object_set_new(manifest, "file", json_string(file));
    json_object_set_new(manifest, "sha256", json_string(sha256));
    json_object_set_new(manifest, "bytes", json_integer(bytes));
    return zoo_install(zoo, temporary, manifest, err);
}
