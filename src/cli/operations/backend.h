/* The Redis and the store of a farm, for the commands that look at them directly. */
#pragma once

#include "cli/cli.h"
#include "queue/queue.h"
#include "store/store.h"

/* The options and settings that the two functions below read; to be listed in a command's options. */
#define BACKEND_OPTIONS                                                                                                \
    {"redis", "URL", "redis://host:port/db or unix:///path; default: the local farm's"},                               \
        {"store", "URL", "object store: s3://bucket/prefix or file:///folder; default: the local farm's"},             \
        {"s3-endpoint", "URL", "S3 server other than AWS, such as http://minio:9000"},                                 \
        {"farm", "NAME", "namespace of the farm in Redis, default mela"}

/* Redis as set; else that of the farm which mela up runs on the data directory; else the default address. */
struct queue *backend_open_queue(struct cli *cli, struct error *err) must_check;
/* The store as set, else the folder in the data directory; usage when there is neither. */
struct store *backend_open_store(struct cli *cli, struct error *err) must_check;
