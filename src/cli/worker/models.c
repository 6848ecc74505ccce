#include <libgen.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/worker/commands.h"
#include "farm/layout.h"
#include "model/add.h"
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

/* wav2lip.onnx is called "wav2lip" unless --name says otherwise. */
static bool models_add_run(struct cli *cli, struct error *err) {
    const char *role = cli_argument(cli, 0), *path = cli_argument(cli, 1);
    _cleanup_free_ char *copy = xstrdup(path);
    char *base = basename(copy), *dot = strrchr(base, '.');
    if (dot && dot > base)
        *dot = '\0';
    const char *name = cli_value(cli, "name") ? cli_value(cli, "name") : base;
    _cleanup_zoo_ struct zoo *zoo = models_open_zoo(cli, err);
    if (!zoo || !model_add(zoo, role, path, name, err))
        return false;
    const json_t *manifest = zoo_manifest(zoo, name, err);
    if (manifest && cli_json(cli))
        cli_print_json(manifest);
    else if (manifest)
        printf("%s is a model for %s now\n", name, role);
    return manifest != NULL;
}

const struct command command_models_add = {
    .name = "models add",
    .arguments = "ROLE FILE.onnx",
    .min_arguments = 2,
    .max_arguments = 2,
    .summary = "add a model of your own: lips, detect, mesh or enhance",
    .help =
        "The file's inputs and outputs are inspected and must fit the role; it is copied into the models folder.\n\n"
        "Example:\n  mela models add lips wav2lip.onnx --name wav2lip-studio\n",
    .options = (const struct cli_option[]){{"name", "NAME", "what to call it; default: the file's name"}, {0}},
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

static char *model_store_key(const json_t *manifest) {
    return layout_model(json_get_string(manifest, "name", ""), json_get_string(manifest, "sha256", ""),
                        json_get_string(manifest, "file", ""));
}

/* Fetches a model under another name, and renames it when its hash is the manifest's. */
static bool model_pull(struct store *store, const struct zoo *zoo, const char *folder, const char *name,
                       struct error *err) {
    const json_t *manifest = zoo_manifest(zoo, name, err);
    if (!manifest)
        return false;
    _cleanup_free_ char *key = model_store_key(manifest),
                        *file = xasprintf("%s/%s", folder, json_get_string(manifest, "file", ""));
    _cleanup_free_ char *part = xasprintf("%s.part", file);
    char hex[SHA256_HEX + 1];
    if (!store_get_file(store, key, part, err) || !sha256_file(part, hex, NULL, err))
        return error_wrap(err, "pulling %s", name);
    if (strcmp(hex, json_get_string(manifest, "sha256", "")) == 0 && rename(part, file) == 0)
        return true;
    unlink(part);
    return error_set(err, ERR_MODEL_HASH_MISMATCH, "%s in the store is not the file that its manifest names", key);
}

static bool model_push(struct store *store, const struct zoo *zoo, const char *name, struct error *err) {
    const json_t *manifest = zoo_check(zoo, name, err) ? zoo_manifest(zoo, name, err) : NULL;
    _cleanup_free_ char *file = manifest ? zoo_file(zoo, name, err) : NULL,
                        *key = file ? model_store_key(manifest) : NULL;
    return key && store_put_file(store, key, file, 0, err);
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
        if (!(pulling ? model_pull(store, zoo, folder, name, err) : model_push(store, zoo, name, err)))
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
