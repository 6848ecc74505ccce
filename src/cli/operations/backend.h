/* What a farm keeps its state in, its Redis and its store, for the commands that work on them and not through the API.
 */
#pragma once

#include "cli/cli.h"
#include "queue/queue.h"
#include "store/store.h"

/* The options that the two functions below read, for a command's list of options. */
#define BACKEND_OPTIONS                                                                                                \
    {"redis", "URL", "redis://host:port/db or unix:///path; default: the local farm's"},                               \
        {"store", "URL", "object store: s3://bucket/prefix or file:///folder; default: the local farm's"},             \
        {"s3-endpoint", "URL", "S3 server other than AWS, such as http://minio:9000"},                                 \
        {"farm", "NAME", "namespace of the farm in Redis, default mela"}

/* Opens the queue in the Redis of the settings; when they name none, in that of the farm that mela up runs on the data
 * directory; else at the default address. Caller closes. NULL with config.invalid or the queue's error. */
struct queue *backend_open_queue(struct cli *cli, struct error *err) must_check;
/* Opens the store of the settings, else that in the data directory. Caller closes. NULL with usage when there is
 * neither, config.invalid, or the store's error. */
struct store *backend_open_store(struct cli *cli, struct error *err) must_check;
