/* mela-worker executor: what a worker's supervisor starts; not for people. */
#include <dirent.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/worker/commands.h"
#include "cli/worker/model_flags.h"
#include "executor/serve.h"

/* Paths of an executor's fence; all owned. */
struct paths {
    char **all;
    size_t count;
};

static void paths_free(struct paths *paths) {
    for (size_t i = 0; i < paths->count; i++)
        free(paths->all[i]);
    free(paths->all);
}

/* Steals the path; NULL adds nothing. */
static void paths_add(struct paths *paths, char *path) {
    if (!path)
        return;
    paths->all = xreallocarray(paths->all, paths->count + 1, sizeof *paths->all);
    paths->all[paths->count++] = path;
}

/* The fence goes by where a file is. Weights may be links into a folder of downloads. */
static void paths_add_targets(struct paths *paths, const char *folder) {
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_type == DT_LNK) {
            _cleanup_free_ char *link = xasprintf("%s/%s", folder, entry->d_name);
            paths_add(paths, realpath(link, NULL));
        }
    closedir(directory);
}

static void paths_add_option(struct cli *cli, struct paths *paths, const char *option) {
    if (cli_value(cli, option))
        paths_add(paths, xstrdup(cli_value(cli, option)));
}

/* Where models cannot be written to, as in an image, their graphs are optimised anew at each start. */
static void keep_no_graphs_where_read_only(struct model_flags *models) {
    struct error why;
    if (!directory_make(models->graphs, &why) || access(models->graphs, W_OK) != 0)
        models->options.cache_directory = NULL;
}

/* From the command line alone: the farm's settings, which name Redis and the store, are none of its business. */
static bool read_models(struct cli *cli, struct model_flags *models, struct error *err) {
    int64_t threads, batch;
    if (!cli_value(cli, "models") || !cli_value(cli, "manifests") || !cli_value(cli, "device"))
        return error_set(err, ERR_USAGE, "this command is started by mela-worker run");
    models->directory = xstrdup(cli_value(cli, "models"));
    models->manifests = xstrdup(cli_value(cli, "manifests"));
    models->graphs = xasprintf("%s/.optimized", models->directory);
    models->options = (struct models_options){.directory = models->directory,
                                              .manifests = models->manifests,
                                              .cache_directory = models->graphs,
                                              .detector = cli_value(cli, "detector"),
                                              .enhancer = cli_value(cli, "enhancer")};
    if (!cli_integer(cli, "threads", 0, 1, 1024, &threads, err) ||
        !cli_integer(cli, "batch", 0, 1, 1024, &batch, err) ||
        !device_parse(cli_value(cli, "device"), &models->options.device, err))
        return false;
    models->options.device.threads = (int)threads;
    models->options.batch = (int)batch;
    keep_no_graphs_where_read_only(models);
    return true;
}

static bool read_fence(struct cli *cli, const struct model_flags *models, struct paths *read, struct paths *write,
                       struct fence *fence, struct error *err) {
    int64_t memory_mb;
    if (!cli_integer(cli, "memory-mb", 0, 0, INT32_MAX, &memory_mb, err))
        return false;
    paths_add(read, xstrdup(models->directory));
    paths_add(read, xstrdup(models->manifests));
    paths_add_targets(read, models->directory);
    paths_add_option(cli, read, "cache");
    paths_add_option(cli, read, "store-folder");
    if (models->options.cache_directory)
        paths_add(write, xstrdup(models->graphs));
    paths_add_option(cli, write, "scratch");
    *fence = (struct fence){.read = (const char *const *)read->all,
                            .read_count = read->count,
                            .write = (const char *const *)write->all,
                            .write_count = write->count,
                            .memory_bytes = memory_mb << 20,
                            .card = models->options.device.kind == DEVICE_CUDA};
    return true;
}

static bool executor_run(struct cli *cli, struct error *err) {
    enum pool pools[POOL_COUNT];
    struct serve_options serve = {.worker = cli_value(cli, "id"), .pools = pools};
    _cleanup_model_flags_ struct model_flags models = {0};
    _cleanup_(paths_free) struct paths read = {0}, write = {0};
    const char *wanted = cli_value(cli, "pools");
    if (!wanted || !cli_value(cli, "id"))
        return error_set(err, ERR_USAGE, "this command is started by mela-worker run");
    int64_t sharers;
    if (!pools_parse(wanted, pools, &serve.pool_count, err) || !cli_integer(cli, "sharers", 1, 1, 64, &sharers, err) ||
        !read_models(cli, &models, err) || !read_fence(cli, &models, &read, &write, &serve.fence, err))
        return false;
    serve.models = models.options;
    serve.sharers = (int)sharers;
    return executor_serve(&serve, err);
}

static const struct cli_option options[] = {
    {"pools", "LIST", "pools whose networks are loaded"},
    {"id", "NAME", "the worker's name"},
    {"batch", "N", "frames of one generator run"},
    {"threads", "N", "threads of one network on the CPU"},
    {"detector", "NAME", "face detector of the zoo"},
    {"enhancer", "NAME", "network that sharpens faces"},
    {"scratch", "DIR", "folder of the jobs' files"},
    {"cache", "DIR", "folder of fetched files"},
    {"store-folder", "DIR", "folder of a store that needs no fetching"},
    {"memory-mb", "N", "most memory that it may take"},
    {"sharers", "N", "executors of its device"},
    {0},
};

const struct command command_executor = {
    .name = "executor",
    .summary = "do the jobs of a supervisor; started by run, not for people",
    .help = "A process that mela-worker run starts for each card or slot. It gets jobs and local files over a socket "
            "that it inherits, and has no Redis, no credentials and no network.",
    .options = options,
    .run = executor_run,
};
