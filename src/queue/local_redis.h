/* The embedded Redis of `mela up`: a private redis-server on a unix socket with AOF, below the farm's data
 * directory. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

struct local_redis;

/* Starts redis-server below `directory` (made when missing) and waits until it answers. A server that a
 * killed parent left behind on the same directory is taken over. child.failed with the last line of its log
 * otherwise. */
struct local_redis *local_redis_start(const char *directory, struct error *err) must_check;
/* "unix:///.../redis.sock". Borrowed. */
const char *local_redis_url(const struct local_redis *redis);
/* Saves and stops it. */
void local_redis_stop(struct local_redis *redis);
DEFINE_CLEANUP(struct local_redis *, local_redis_stop)
#define _cleanup_local_redis_ _cleanup_(local_redis_stop_cleanup)
