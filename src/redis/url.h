/* The URL of a Redis, read before anything is connected. Private to this room, and to the fuzzer of URLs. */
#pragma once

#include "redis/redis.h"

/* redis_open without the connecting: queue.config for what is no URL. */
struct redis *redis_prepare(const char *url, int timeout_ms, struct error *err) must_check;

/* Where the URL leads; borrowed. One of host and path is NULL. */
struct redis_place {
    const char *host, *path;
    int port;
};
struct redis_place redis_place(const struct redis *redis);
