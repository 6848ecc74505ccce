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
/* The URL of the server that some process runs on `directory`; NULL when there is none. Caller frees. */
char *local_redis_find(const char *directory);
/* "unix:///.../redis.sock". Borrowed. */
const char *local_redis_url(const struct local_redis *redis);
/* Starts the server again on its data if it has ended; for whoever learns that some child did. *restarted
 * tells whether it had. child.failed when it cannot be started; call again later. */
bool local_redis_tend(struct local_redis *redis, bool *restarted, struct error *err) must_check;
/* Saves and stops it. */
void local_redis_stop(struct local_redis *redis);
DEFINE_CLEANUP(struct local_redis *, local_redis_stop)
#define _cleanup_local_redis_ _cleanup_(local_redis_stop_cleanup)
