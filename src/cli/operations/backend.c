#include "cli/operations/backend.h"

#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "redis/local.h"

struct queue *backend_open_queue(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    _cleanup_free_ char *data = config ? cli_data_directory(cli, err) : NULL;
    if (!data)
        return NULL;
    _cleanup_free_ char *directory = xasprintf("%s/redis", data);
    _cleanup_free_ char *local = config_is_default(config, "redis") ? local_redis_find(directory) : NULL;
    struct queue_options options = {.url = local ? local : config_get(config, "redis"),
                                    .farm = config_get(config, "farm")};
    return queue_open(&options, err);
}

struct store *backend_open_store(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    _cleanup_free_ char *data = config ? cli_data_directory(cli, err) : NULL;
    if (!data)
        return NULL;
    _cleanup_free_ char *folder = xasprintf("%s/store", data), *local = xasprintf("file://%s", folder);
    const char *url = config_get(config, "store");
    struct store_options options = {.endpoint = config_get(config, "s3_endpoint")};
    if (url || access(folder, F_OK) == 0)
        return store_open(url ? url : local, &options, err);
    error_set(err, ERR_USAGE, "there is no farm in %s; give --store and --redis, or --data", data);
    return NULL;
}
