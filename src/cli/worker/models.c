#include <libgen.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/worker/commands.h"
#include "farm/layout.h"
#include "model/add.h"
#include "picture/add.h"
#include "store/store.h"

static struct zoo *models_open_zoo(struct cli *cli, struct error *err) {
    _cleanup_free_ char *models = cli_models_directory(cli, err);
    _cleanup_free_ char *manifests = models ? cli_manifests_directory(cli, err) : NULL;
    return manifests ? zoo_open(manifests, models, err) : NULL;
}

static bool models_list_run(struct cli *cli, struct error *err) {
    _cleanup_zoo_ struct zoo *zoo = models_open_zoo(cli, err);
    _cleanup_json_ json_t *models = zoo ? zoo_list(zoo) : NULL;
    size_t i;
    json_t *model;
    if (models && cli_json(cli))
        cli_print_json(models);
    else
        json_array_foreach (models, i, model)
            printf("%-22s %-8s %-8s %8.1f MB  %-12s %s\n", json_get_string(model, "name", ""),
                   json_get_string(model, "role", ""), json_get_bool(model, "present", false) ? "present" : "missing",
                   (double)json_get_integer(model, "bytes", 0) / 1e6, json_get_string(model, "licence", ""),
                   json_get_string(model, "source", ""));
    return models != NULL;
}

const struct command command_models_list = {
    .name = "models list",
    .summary = "list the models: name, role, present or missing, size, licence, source",
    .help = "Example:\n  mela models list\n",
    .run = models_list_run,
};

/* Checks one model and prints its line. On failure *err is set, and the caller goes on with the next model. */
static bool model_check(struct cli *cli, const struct zoo *zoo, const char *name, json_t *results, struct error *err) {
    struct error why = {0};
    bool good = zoo_check(zoo, name, &why);
    json_array_append_new(results,
                          json_pack("{s:s,s:b,s:s}", "name", name, "good", good, "message", good ? "" : why.message));
    if (!cli_json(cli))
        printf("%-22s %s\n", name, good ? "good" : why.message);
    if (!good)
        *err = why;
    return good;
}

/* Without names: all that are present. */
static bool models_check_run(struct cli *cli, struct error *err) {
    _cleanup_zoo_ struct zoo *zoo = models_open_zoo(cli, err);
    if (!zoo)
        return false;
    _cleanup_json_ json_t *models = zoo_list(zoo), *results = json_array();
    bool good = true;
    size_t i;
    json_t *model;
    for (int n = 0; cli_argument(cli, n); n++)
        good &= model_check(cli, zoo, cli_argument(cli, n), results, err);
    json_array_foreach (models, i, model)
        if (!cli_argument_count(cli) && json_get_bool(model, "present", false))
            good &= model_check(cli, zoo, json_get_string(model, "name", ""), results, err);
    if (cli_json(cli))
        cli_print_json(results);
    return good;
}

const struct command command_models_check = {
    .name = "models check",
    .arguments = "[NAME...]",
    .max_arguments = 1000,
    .summary = "compare models with the hashes in their manifests",
    .help = "Without names: all models that are present.\n\nExample:\n  mela models check lips-basic\n",
    .run = models_check_run,
};

/* wav2lip.onnx is called "wav2lip", and the folder sdxl-1.0 "sdxl-1.0", unless --name says otherwise. */
static char *name_of_path(const char *path, bool is_folder) {
    _cleanup_free_ char *copy = xstrdup(path);
    char *base = basename(copy), *dot = is_folder ? NULL : strrchr(base, '.');
    if (dot && dot > base)
        *dot = '\0';
    return xstrdup(base);
}

static void print_image_model(const json_t *contract) {
    size_t i;
    json_t *entry;
    const json_t *memory_mb = json_object_get(contract, "memory_mb");
    int64_t modules = 0, shared = 0;
    json_array_foreach (json_object_get(contract, "parts"), i, entry) {
        printf("  %-16s %-8s %9.1f MB\n", json_get_string(entry, "part", ""), json_get_string(entry, "type", ""),
               (double)json_get_integer(entry, "bytes", 0) / 1e6);
        modules += json_get_integer(entry, "modules", 0);
        shared += json_get_integer(entry, "shared", 0);
    }
    json_array_foreach (json_object_get(contract, "tokenizers"), i, entry)
        printf("  %-16s %lld tokens\n", json_get_string(entry, "tokenizer", ""),
               (long long)json_get_integer(entry, "tokens", 0));
    printf("  %-16s %s\n  %-16s %lld MB on the CPU, %lld MB on a card\n", "scheduler",
           json_get_string(contract, "scheduler", ""), "memory", (long long)json_get_integer(memory_mb, "cpu", 0),
           (long long)json_get_integer(memory_mb, "cuda", 0));
    printf("  %-16s can change %lld modules", "LoRAs", (long long)modules);
    if (shared > 0)
        printf("; %lld weights belong to several, and stay as they are", (long long)shared);
    putchar('\n');
}

static void print_lora(const json_t *contract) {
    size_t i;
    json_t *entry;
    if (json_is_integer(json_object_get(contract, "modules")))
        printf("  changes %lld modules of SDXL\n", (long long)json_get_integer(contract, "modules", 0));
    json_array_foreach (json_object_get(contract, "models"), i, entry)
        printf("  fits %s: %lld modules, %lld tensors that it does not have\n", json_get_string(entry, "model", ""),
               (long long)json_get_integer(entry, "matched", 0), (long long)json_get_integer(entry, "unmatched", 0));
}

static bool add_of_role(struct zoo *zoo, const char *role, const char *path, const char *name, struct error *err) {
    if (strcmp(role, "image") == 0)
        return picture_add_model(zoo, path, name, err);
    if (strcmp(role, "lora") == 0)
        return picture_add_lora(zoo, path, name, err);
    return model_add(zoo, role, path, name, err);
}

static bool models_add_run(struct cli *cli, struct error *err) {
    const char *role = cli_argument(cli, 0), *path = cli_argument(cli, 1);
    bool is_image = strcmp(role, "image") == 0, is_lora = strcmp(role, "lora") == 0;
    _cleanup_free_ char *own = name_of_path(path, is_image);
    const char *name = cli_value(cli, "name") ? cli_value(cli, "name") : own;
    _cleanup_zoo_ struct zoo *zoo = models_open_zoo(cli, err);
    const json_t *manifest = zoo && add_of_role(zoo, role, path, name, err) ? zoo_manifest(zoo, name, err) : NULL;
    if (!manifest || cli_json(cli)) {
        if (manifest)
            cli_print_json(manifest);
        return manifest != NULL;
    }
    printf(is_lora ? "%s is a LoRA now\n" : "%s is a model for %s now\n", name, role);
    const json_t *contract = json_object_get(manifest, "contract");
    if (is_image)
        print_image_model(contract);
    else if (is_lora)
        print_lora(contract);
    return true;
}

const struct command command_models_add = {
    .name = "models add",
    .arguments = "lips|detect|mesh|enhance|image|lora FILE|DIR",
    .min_arguments = 2,
    .max_arguments = 2,
    .summary = "add a model of your own: lips, detect, mesh, enhance, image or lora",
    .help =
        "lips, detect, mesh, enhance: an ONNX file; its inputs and outputs must fit the role.\n"
        "image: an SDXL model as a folder in the layout of diffusers' ONNX exports (model_index.json, scheduler, two "
        "tokenizers, text_encoder, text_encoder_2, unet, vae_decoder); each network is loaded once, and what was found "
        "is "
        "printed.\n"
        "lora: a .safetensors file with a LoRA for SDXL, in the names of kohya, PEFT or diffusers.\n"
        "All that is needed is copied into the models folder. What does not fit is refused, and leaves nothing "
        "behind.\n\n"
        "Examples:\n  mela models add lips wav2lip.onnx --name wav2lip-studio\n"
        "  mela models add image sdxl-base-onnx --name sdxl-base\n"
        "  mela models add lora diwali.safetensors\n",
    .options =
        (const struct cli_option[]){{"name", "NAME", "what to call it; default: the file's or folder's name"}, {0}},
    .run = models_add_run,
};

/* ---- weights in the farm's store ---- */

static struct store *models_open_store(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    const char *url = config ? config_get(config, "store") : NULL;
    if (!config)
        return NULL;
    if (!url) {
        error_set(err, ERR_USAGE, "--store URL is missing: the store that keeps the models");
        return NULL;
    }
    struct store_options options = {.endpoint = config_get(config, "s3_endpoint")};
    return store_open(url, &options, err);
}

static char *model_store_key(const struct zoo *zoo, const char *name, const json_t *file, struct error *err) {
    const json_t *manifest = zoo_manifest(zoo, name, err);
    return manifest ? layout_model(name, json_get_string(manifest, "sha256", ""), json_get_string(file, "file", ""))
                    : NULL;
}

/* Fetches a file under another name, and renames it when its hash is the manifest's. */
static bool model_pull_file(struct store *store, const char *key, const char *path, const char *sha256,
                            struct error *err) {
    _cleanup_free_ char *part = xasprintf("%s.part", path), *copy = xstrdup(path);
    char hex[SHA256_HEX + 1];
    if (!directory_make(dirname(copy), err) || !store_get_file(store, key, part, err) ||
        !sha256_file(part, hex, NULL, err))
        return error_wrap(err, "pulling %s", key);
    if (strcmp(hex, sha256) == 0 && rename(part, path) == 0)
        return true;
    unlink(part);
    return error_set(err, ERR_MODEL_HASH_MISMATCH, "%s in the store is not the file that its manifest names", key);
}

/* Each file of a model, one way or the other. */
static bool model_transfer(struct store *store, const struct zoo *zoo, const char *folder, const char *name,
                           bool pulling, struct error *err) {
    _cleanup_json_ json_t *files = pulling || zoo_check(zoo, name, err) ? zoo_files(zoo, name, err) : NULL;
    bool done = files != NULL;
    for (size_t i = 0; done && i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, json_get_string(file, "path", ""));
        _cleanup_free_ char *key = model_store_key(zoo, name, file, err);
        done = key && (pulling ? model_pull_file(store, key, path, json_get_string(file, "sha256", ""), err)
                               : store_put_file(store, key, path, 0, err));
    }
    return done;
}

static bool models_transfer(struct cli *cli, bool pulling, struct error *err) {
    _cleanup_free_ char *folder = cli_models_directory(cli, err);
    _cleanup_zoo_ struct zoo *zoo = folder && directory_make(folder, err) ? models_open_zoo(cli, err) : NULL;
    _cleanup_store_ struct store *store = zoo ? models_open_store(cli, err) : NULL;
    _cleanup_json_ json_t *names = json_array();
    if (!store)
        return false;
    for (int i = 0; cli_argument(cli, i); i++) {
        const char *name = cli_argument(cli, i);
        if (!model_transfer(store, zoo, folder, name, pulling, err))
            return false;
        json_array_append_new(names, json_string(name));
        if (!cli_json(cli))
            printf("%s is %s\n", name, pulling ? "here" : "in the store");
    }
    if (cli_json(cli))
        cli_print_json(names);
    return true;
}

static bool models_pull_run(struct cli *cli, struct error *err) { return models_transfer(cli, true, err); }
static bool models_push_run(struct cli *cli, struct error *err) { return models_transfer(cli, false, err); }

const struct command command_models_pull = {
    .name = "models pull",
    .arguments = "NAME...",
    .min_arguments = 1,
    .max_arguments = 1000,
    .summary = "fetch weights from the farm's store, and check their hashes",
    .help = "Example:\n  mela models pull lips-basic --store s3://studio/mela\n",
    .run = models_pull_run,
};

const struct command command_models_push = {
    .name = "models push",
    .arguments = "NAME...",
    .min_arguments = 1,
    .max_arguments = 1000,
    .summary = "put weights of this machine into the farm's store, for models pull elsewhere",
    .help = "Example:\n  mela models push lips-basic --store s3://studio/mela\n",
    .run = models_push_run,
};
