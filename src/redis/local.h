/* The embedded Redis of `mela up`: a private redis-server on a unix socket with AOF, below the farm's data
 * directory. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

struct local_redis;

/* Starts redis-server on the data in `directory` (made when missing) and waits until it answers. A server that a killed
 * parent left behind there is stopped first, with its data saved. A lock file keeps a second farm off the directory.
 * NULL with io, or with child.failed and the last line of the server's log; the caller stops it otherwise. Call from a
 * thread that outlives the server (base/child.h). */
struct local_redis *local_redis_start(const char *directory, struct error *err) must_check;
/* The URL of the server that another process runs on `directory`, NULL when there is no socket of one. Caller frees. */
char *local_redis_find(const char *directory);
/* "unix:///.../redis.sock". Borrowed. */
const char *local_redis_url(const struct local_redis *redis);
/* Starts the server again on its data if it has ended; to be called when some child of the process has. *restarted: it
 * had ended. False with child.failed when it cannot be started; call again later. */
bool local_redis_tend(struct local_redis *redis, bool *restarted, struct error *err) must_check;
/* Stops the server, which saves its data, and frees everything. */
void local_redis_stop(struct local_redis *redis);
DEFINE_CLEANUP(struct local_redis *, local_redis_stop)
#define _cleanup_local_redis_ _cleanup_(local_redis_stop_cleanup)
