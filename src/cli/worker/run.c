#include <string.h>

#include "base/memory.h"
#include "cli/worker/commands.h"
#include "model/zoo.h"
#include "store/store.h"
#include "worker/worker.h"

enum { DEVICES_MAX = 16 };

static bool read_numbers(struct cli *cli, struct worker_options *options, struct error *err) {
    int64_t lease, grace, idle, batch, cache_gb, slots, threads;
    if (!cli_integer(cli, "lease-ms", 0, 1000, 600000, &lease, err) ||
        !cli_integer(cli, "grace-ms", WORKER_GRACE_MS, 0, 7200000, &grace, err) ||
        !cli_integer(cli, "idle-exit-ms", 0, 0, 86400000, &idle, err) ||
        !cli_integer(cli, "batch", 0, 1, 1024, &batch, err) ||
        !cli_integer(cli, "threads", 0, 1, 1024, &threads, err) || !cli_integer(cli, "slots", 0, 1, 64, &slots, err) ||
        !cli_integer(cli, "cache-gb", 0, 1, 100000, &cache_gb, err))
        return false;
    options->lease_ms = (int)lease;
    options->grace_ms = (int)grace;
    options->idle_exit_ms = (int)idle;
    options->models.batch = (int)batch;
    options->models.device.threads = (int)threads;
    options->slots = (int)slots;
    options->cache_bytes = cache_gb << 30;
    return true;
}

/* --work, else a folder of the data directory. Caller frees. */
static char *work_directory(struct cli *cli, struct error *err) {
    if (cli_value(cli, "work"))
        return xstrdup(cli_value(cli, "work"));
    _cleanup_free_ char *data = cli_data_directory(cli, err);
    return data ? xasprintf("%s/work", data) : NULL;
}

/* "cuda:0,cuda:1" into pieces of the caller's copy, DEVICES_MAX at most. */
static bool split_devices(char *copy, const char **devices, size_t *count, struct error *err) {
    *count = 0;
    for (char *word; (word = strsep(&copy, ","));) {
        if (*count == DEVICES_MAX)
            return error_set(err, ERR_USAGE, "--device names more than %d devices", DEVICES_MAX);
        devices[(*count)++] = word;
    }
    return true;
}

static bool run_run(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    if (!config)
        return false;
    _cleanup_free_ char *work = work_directory(cli, err), *models = work ? cli_models_directory(cli, err) : NULL,
                        *manifests = models ? cli_manifests_directory(cli, err) : NULL;
    if (!manifests)
        return false;
    const char *devices[DEVICES_MAX];
    _cleanup_free_ char *device_list = xstrdup(config_get(config, "device"));
    enum pool pools[POOL_COUNT];
    struct store_options store = {.endpoint = config_get(config, "s3_endpoint")};
    struct worker_options options = {.id = cli_value(cli, "id"),
                                     .queue = {.url = config_get(config, "redis"), .farm = config_get(config, "farm")},
                                     .store_url = config_get(config, "store"),
                                     .store = &store,
                                     .pools = pools,
                                     .models = {.directory = models,
                                                .manifests = manifests,
                                                .detector = cli_value(cli, "detector"),
                                                .enhancer = cli_value(cli, "enhancer")},
                                     .executor = cli_value(cli, "executor"),
                                     .devices = devices,
                                     .metrics_address = cli_value(cli, "metrics-listen"),
                                     .work_directory = work};
    const char *wanted = cli_value(cli, "pools"), *class = cli_value(cli, "class");
    enum campaign_class only;
    if (!options.store_url)
        return error_set(err, ERR_USAGE, "--store URL is missing: the farm's object store");
    if (!pools_parse(wanted ? wanted : "cpu,lipsync,image", pools, &options.pool_count, err) ||
        !split_devices(device_list, devices, &options.device_count, err))
        return false;
    if (class && !campaign_class_parse(class, &only))
        return error_set(err, ERR_USAGE, "--class is \"%s\"; it is urgent or batch", class);
    options.only = class ? &only : NULL;
    return read_numbers(cli, &options, err) && worker_run(&options, err);
}

static const struct cli_option options[] = {
    {"pools", "LIST", "pools to claim jobs from: cpu, lipsync, image; default: all"},
    {"class", "CLASS", "claim jobs of this class only: urgent or batch; default: both"},
    {"id", "NAME", "this worker's name (default: host, process, random)"},
    {"work", "DIR", "folder for the cache and scratch space"},
    {"cache-gb", "N", "largest size of the cache (default: half of what its disk has free, at most 100)"},
    {"batch", "N", "frames of one generator run (default: 8 on the CPU, 128 on CUDA)"},
    {"executor", "FILE", "program of the executors, default: this one"},
    {"slots", "N", "executors of a device, default 2: one computes while the other begins or ends a job"},
    {"threads", "N", "threads of one network on the CPU (default: one a core)"},
    {"detector", "NAME", "face detector of the zoo (default " ZOO_DETECTOR ")"},
    {"enhancer", "NAME", "network that sharpens faces (default " ZOO_ENHANCER ")"},
    {"lease-ms", "N", "how long the lease of a job lasts without a heartbeat, default 30000"},
    {"grace-ms", "N", "time to finish running jobs after SIGTERM, default 25000"},
    {"metrics-listen", "ADDRESS", "address and port of /metrics, /healthz and /readyz, such as 0.0.0.0:7422"},
    {"idle-exit-ms", "N", "end after so long without work; default: never"},
    {0},
};

const struct command command_run = {
    .name = "run",
    .summary = "claim jobs and do them until told to stop",
    .help = "SIGTERM drains: no new job is claimed; jobs that run are finished if the grace time allows, and released "
            "unharmed otherwise. A second SIGTERM releases them at once.\n\nExamples:\n"
            "  mela-worker run --pools lipsync --redis redis://redis:6379 --store s3://farm\n"
            "  mela-worker run --device cpu --threads 2 --idle-exit-ms 30000",
    .options = options,
    .run = run_run,
};
