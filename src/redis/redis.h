/* redis: one connection to Redis (commands, scripts, deadlines, reconnecting, TLS), and a server of our own on this
 * machine (local.h). Knows nothing of jobs.
 *
 * It promises: every call ends by its deadline, however the network behaves; a broken connection is made anew before
 * the next command; nothing is sent twice that the caller did not call repeatable. A struct redis is used by one
 * thread. */
#pragma once

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "base/base.h"

struct redis;

/* A Lua script of the server's; `sha1` in hexadecimal is its name in EVALSHA. */
struct script {
    const char *name, *sha1, *text;
};

/* A command in Redis' wire form, built up argument by argument. Zero-initialised it is empty. */
struct command {
    struct buffer body;
    int count;
};
void command_add(struct command *command, const char *text);
void command_add_integer(struct command *command, int64_t value);
/* Three decimals. */
void command_add_number(struct command *command, double value);
void command_free(struct command *command);
#define _cleanup_command_ _cleanup_(command_free)

DEFINE_CLEANUP(redisReply *, freeReplyObject)
#define _cleanup_reply_ _cleanup_(freeReplyObject_cleanup)

/* Parses the URL (see struct queue_options) and connects; queue.config or queue.unavailable. */
struct redis *redis_open(const char *url, int timeout_ms, struct error *err) must_check;
void redis_close(struct redis *redis);
DEFINE_CLEANUP(struct redis *, redis_close)
#define _cleanup_redis_ _cleanup_(redis_close_cleanup)

/* Sends and waits for the reply, which the caller frees; never an error reply. `extra_ms` is added to the
 * deadline, for commands that block. The deadline is the whole call's: connecting and sending again fall within it. The
 * connection is made anew first when it is known to be broken. When it
 * breaks underway nobody knows whether the command was carried out: it is sent once more if `repeatable`,
 * else that is queue.unavailable. */
redisReply *redis_run(struct redis *redis, const struct command *command, bool repeatable, int extra_ms,
                      struct error *err) must_check;
/* As redis_run for "EVALSHA sha1 1 key <arguments>"; loads the script when the server does not know it. */
redisReply *redis_run_script(struct redis *redis, const struct script *script, const char *key,
                             const struct command *arguments, bool repeatable, struct error *err) must_check;
