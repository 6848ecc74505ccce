#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/operations/scale.h"
#include "cli/operations/service.h"
#include "redis/local.h"
#include "scale/local.h"
#include "server/auth.h"
#include "server/server.h"

enum { DEFAULT_PORT = 7420, WORKERS_MAX = 256, GRACE_MS = 25000, REDIS_PAUSE_MS = 1000 };

struct up {
    struct cli *cli;
    const struct config *config;
    char *data, *store_url, *models, *manifests;
    char *keys_file;               /* hashes of all keys, for the API */
    char *key_file, *address_file; /* the administrator's key and the API's address, for other commands */
    int lock, signals;             /* descriptors; -1: none */
    struct scale_policies *policies;
    int gpus, cores;
    int64_t workers, cooldown, port;
};

static void up_free(struct up *up) {
    free(up->data);
    free(up->store_url);
    free(up->keys_file);
    free(up->key_file);
    free(up->address_file);
    free(up->models);
    free(up->manifests);
    if (up->policies)
        scale_policies_free(up->policies);
    cleanup_close_descriptor(&up->lock);
    cleanup_close_descriptor(&up->signals);
}

static int count_gpus(const char *device) {
    glob_t found;
    int count =
        strcmp(device, "auto") == 0 && glob("/dev/nvidia[0-9]*", 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
    if (count)
        globfree(&found);
    return count;
}

static int count_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* The default is a worker for each card, since a second one would only share it; without cards, one for every two
 * cores, which a worker keeps busy. */
static bool up_read_workers(struct up *up, struct error *err) {
    up->gpus = count_gpus(config_get(up->config, "device"));
    up->cores = count_cores();
    up->workers = up->gpus ? up->gpus : MAX(1, up->cores / 2);
    return !config_get(up->config, "workers") ||
           config_get_integer(up->config, "workers", 0, WORKERS_MAX, &up->workers, err);
}

static bool up_find_folders(struct up *up, struct error *err) {
    up->data = cli_data_directory(up->cli, err);
    if (!up->data)
        return false;
    up->models = cli_models_directory(up->cli, err);
    if (!up->models)
        return false;
    up->manifests = cli_manifests_directory(up->cli, err);
    return up->manifests != NULL;
}

static bool up_read_options(struct up *up, struct error *err) {
    up->config = cli_config(up->cli, err);
    if (!up->config)
        return false;
    up->policies = cli_policies(up->cli, false, err);
    if (!up->policies || !up_find_folders(up, err) || !up_read_workers(up, err) ||
        !config_get_integer(up->config, "cooldown", 1, 86400, &up->cooldown, err) ||
        !cli_integer(up->cli, "port", DEFAULT_PORT, 0, 65535, &up->port, err))
        return false;
    const char *store = config_get(up->config, "store");
    up->store_url = store ? xstrdup(store) : xasprintf("file://%s/store", up->data);
    up->keys_file = xasprintf("%s/keys.json", up->data);
    up->key_file = xasprintf("%s/key", up->data);
    up->address_file = xasprintf("%s/address", up->data);
    return true;
}

/* Locks the data directory: there is one farm in each. The kernel frees the lock when the process ends, however it
 * ends. */
static bool up_lock(struct up *up, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/lock", up->data);
    if (!directory_make(up->data, err))
        return false;
    up->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (up->lock < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot open %s", path);
    if (flock(up->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return error_set_errno(err, ERR_IO, errno, "cannot lock %s", path);
    _cleanup_buffer_ struct buffer address = {0};
    struct error none;
    bool known = file_read(up->address_file, 4096, &address, &none);
    return error_set(err, ERR_USAGE, "a farm is up on %s already%s%.*s; stop it, or take another folder with --data",
                     up->data, known ? ", at " : "", known ? (int)strcspn(address.data, "\n") : 0,
                     known ? address.data : "");
}

static bool up_key_is_good(const struct up *up) {
    struct error none;
    _cleanup_buffer_ struct buffer text = {0};
    enum role role;
    _cleanup_free_ char *name = NULL;
    _cleanup_(keys_free_cleanup) struct keys *keys = keys_load(up->keys_file, &none);
    bool read = keys && file_read(up->key_file, 4096, &text, &none);
    if (read)
        text.data[strcspn(text.data, "\n")] = '\0';
    return read && keys_check(keys, text.data, &role, &name);
}

/* The first start makes an administrator's key, readable by this user only; later starts find it. */
static bool up_make_key(const struct up *up, struct error *err) {
    if (up_key_is_good(up))
        return true;
    _cleanup_free_ char *key = keys_create(up->keys_file, "mela-up", ROLE_ADMIN, err);
    _cleanup_free_ char *line = key ? xasprintf("%s\n", key) : NULL;
    return line && file_write_atomic(up->key_file, line, strlen(line), 0600, err);
}

static bool up_announce(const struct up *up, const struct server *server, struct error *err) {
    _cleanup_free_ char *address = xasprintf("http://127.0.0.1:%d", server_port(server));
    _cleanup_free_ char *line = xasprintf("%s\n", address);
    if (!file_write_atomic(up->address_file, line, strlen(line), 0644, err))
        return false;
    if (cli_json(up->cli)) {
        _cleanup_json_ json_t *ready =
            json_pack("{s:s,s:s,s:s,s:s,s:I}", "address", address, "data", up->data, "store", up->store_url, "key_file",
                      up->key_file, "workers", (json_int_t)up->workers);
        _cleanup_free_ char *text = json_line(ready);
        printf("%s\n", text);
    } else {
        printf("mela is up at %s (data %s, up to %d workers); Ctrl-C stops it\n", address, up->data, (int)up->workers);
    }
    fflush(stdout);
    return true;
}

/* Called when a child that is no worker may have ended. Workers and API only wait for Redis; who started it must
 * restart it. */
static void up_keep_redis(void *context) {
    struct error err;
    bool restarted;
    if (!local_redis_tend(context, &restarted, &err)) {
        log_write(NULL, LOG_ERROR, "Redis ended and cannot be started again: %s", err.message);
        clock_sleep_ms(
            clock_system(),
            REDIS_PAUSE_MS); /* the next try comes with the next SIGCHLD: a start that fails is a child that ends */
    } else if (restarted) {
        log_write(NULL, LOG_WARN, "Redis had ended; it is started again");
    }
}

static bool up_scale(const struct up *up, struct local_redis *redis, const struct queue_options *queue,
                     struct error *err) {
    _cleanup_free_ char *program = cli_sibling_program("mela-worker", "MELA_WORKER");
    _cleanup_free_ char *work = xasprintf("%s/work", up->data), *logs = xasprintf("%s/logs", up->data);
    _cleanup_free_ char *threads = xasprintf("%d", MAX(1, up->cores / (int)MAX(1, up->workers)));
    _cleanup_free_ char *idle = xasprintf("%d", (int)up->cooldown * 1000), *grace = xasprintf("%d", GRACE_MS - 5000);
    const char *endpoint = config_get(up->config, "s3_endpoint");
    /* clang-format off */
    const char *const worker[] = {
        program, "run", "--pools", "cpu,lipsync,image",
        "--redis", queue->url, "--farm", queue->farm, "--store", up->store_url,
        "--models", up->models, "--manifests", up->manifests, "--work", work,
        "--device", config_get(up->config, "device"), "--threads", threads,
        "--grace-ms", grace, "--idle-exit-ms", idle, endpoint ? "--s3-endpoint" : NULL, endpoint, NULL};
    /* clang-format on */
    struct local_scale_options options = {.queue = *queue,
                                          .worker = worker,
                                          .rule = &up->policies->pools[POOL_LIPSYNC].rule,
                                          .cap = (int)up->workers,
                                          .gpus = up->gpus,
                                          .cooldown_ms = (int)up->cooldown * 1000,
                                          .grace_ms = GRACE_MS,
                                          .log_directory = logs,
                                          .signals = up->signals,
                                          .child_ended = up_keep_redis,
                                          .context = redis};
    return local_scale_run(&options, err);
}

/* Redis is declared before the API: cleanups run in reverse, so the API stops first. */
static bool up_serve_and_scale(const struct up *up, struct error *err) {
    _cleanup_free_ char *redis_directory = xasprintf("%s/redis", up->data);
    _cleanup_free_ char *listen = xasprintf("127.0.0.1:%d", (int)up->port);
    _cleanup_local_redis_ struct local_redis *redis = local_redis_start(redis_directory, err);
    if (!redis)
        return error_wrap(err, "cannot start the farm's Redis");
    struct queue_options queue = {.url = local_redis_url(redis), .farm = config_get(up->config, "farm")};
    struct store_options store = {.endpoint = config_get(up->config, "s3_endpoint")};
    struct server_options options = {.address = listen,
                                     .queue = queue,
                                     .store_url = up->store_url,
                                     .store = &store,
                                     .keys_file = up->keys_file,
                                     .policies = up->policies,
                                     .failure = config_failure(up->config)};
    _cleanup_server_ struct server *server = server_start(&options, err);
    if (!server)
        return error_wrap(err, "cannot start the API at %s (--port 0 takes a free port)", listen);
    bool done = up_announce(up, server, err) && up_scale(up, redis, &queue, err);
    unlink(up->address_file);
    return done;
}

static bool up_run(struct cli *cli, struct error *err) {
    _cleanup_(up_free) struct up up = {.cli = cli, .lock = -1, .signals = -1};
    if (!up_read_options(&up, err) || !up_lock(&up, err) || !up_make_key(&up, err))
        return false;
    up.signals = service_signals(err); /* before any thread is started */
    return up.signals >= 0 && up_serve_and_scale(&up, err);
}

const struct command command_up = {
    .name = "up",
    .summary = "run a whole farm on this machine",
    .help = "Starts a private Redis, the API on 127.0.0.1, and as many workers as the queue asks for: none while there "
            "is nothing to do. All data are in the data directory; so are the farm's address and an API key, where the "
            "other commands find them. SIGTERM or Ctrl-C lets workers finish or release their jobs; a second one stops "
            "at once. Started again on the same directory, the farm goes on where it was.\n\n"
            "Examples:\n  mela up\n  mela up --data /var/lib/mela --workers 4 --store s3://studio/mela\n",
    .options =
        (const struct cli_option[]){
            {"store", "URL",
             "object store: file:///folder or s3://bucket/prefix; default: a folder in the data directory"},
            {"s3-endpoint", "URL", "S3 server other than AWS, such as http://minio:9000"},
            {"workers", "N",
             "most workers at once; 0: none; default: one for each GPU, or without GPUs one for every two cores"},
            {"models", "DIR", "folder with model weights; default: models in the data directory"},
            {"manifests", "DIR", "folder with the model manifests that mela ships"},
            {"port", "N", "port of the API, default 7420; 0 takes a free one"},
            {"device", "D", "auto, cpu or cuda:N"},
            {"farm", "NAME", "namespace of the farm in Redis, default mela"},
            {"cooldown", "SECONDS", "a worker ends after so long without work, default 30"},
            {0},
        },
    .run = up_run,
};
