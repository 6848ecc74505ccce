/* redis: one connection to Redis (commands, scripts, deadlines, reconnecting, TLS), and a server of our own on this
 * machine (local.h). Knows nothing of jobs.
 *
 * It promises: every call ends by its deadline, however the network behaves (only the resolver of names keeps its own
 * limits); a broken connection is made anew before the next command; nothing is sent twice that the caller did not call
 * repeatable. A struct redis has no lock: one thread uses it at a time, and threads that work at once open one each.
 * Errors: queue.unavailable when Redis does not answer or cannot now, so that trying again may help; queue.config when
 * its set-up or the URL has to be changed; internal when it refuses the command itself. */
#pragma once

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "base/base.h"

struct redis;

/* A Lua script; EVALSHA calls it by `sha1`, in hexadecimal. */
struct script {
    const char *name, *sha1, *text;
};

/* A command in Redis' wire form (RESP2), or the arguments of a script, built up one by one; {0} is an empty one.
 * Numbers are formatted once, straight into it: hiredis' own formatting was a good part of a finish's time. */
struct command {
    struct buffer body; /* the arguments, each "$<length>\r\n<bytes>\r\n" */
    int count;          /* of arguments */
};
void command_add(struct command *command, const char *text);
void command_add_integer(struct command *command, int64_t value);
/* Three decimals. */
void command_add_number(struct command *command, double value);
void command_free(struct command *command);
#define _cleanup_command_ _cleanup_(command_free)

DEFINE_CLEANUP(redisReply *, freeReplyObject)
#define _cleanup_reply_ _cleanup_(freeReplyObject_cleanup)

/* Parses the URL (its forms: struct queue_options in queue/queue.h) and connects. `timeout_ms` is the deadline of this
 * call and of each later one. NULL with queue.config or queue.unavailable; the caller closes it otherwise. */
struct redis *redis_open(const char *url, int timeout_ms, struct error *err) must_check;
void redis_close(struct redis *redis);
DEFINE_CLEANUP(struct redis *, redis_close)
#define _cleanup_redis_ _cleanup_(redis_close_cleanup)

/* Sends a command and waits for the reply, which the caller frees; never an error reply. `extra_ms` is added to the
 * deadline, for commands that block. The deadline is the whole call's: connecting and sending again fall within it. The
 * connection is made anew first when it is known to be broken. When it breaks underway nobody knows whether the command
 * was carried out: it is sent once more if `repeatable`, else that is queue.unavailable. After a passed deadline
 * nothing is sent again. */
redisReply *redis_run(struct redis *redis, const struct command *command, bool repeatable, int extra_ms,
                      struct error *err) must_check;
/* redis_run in two halves, for a caller that has other things to wait for: sends a command whose answer takes up to
 * `wait_ms`. Until redis_collect the connection serves nothing else. */
bool redis_post(struct redis *redis, const struct command *command, int wait_ms, struct error *err) must_check;
/* What to poll until the answer to redis_post comes; -1 when the connection is closed. */
int redis_descriptor(const struct redis *redis);
/* The answer to redis_post, which the caller frees; waits for it until the deadline. Never an error reply. */
redisReply *redis_collect(struct redis *redis, struct error *err) must_check;
/* Ends the connection, and with it what was posted; the next call makes a new one. */
void redis_hang_up(struct redis *redis);
/* As redis_run for "EVALSHA sha1 1 key <arguments>"; loads the script when the server does not know it, which is safe
 * also if the call is not repeatable: an unknown script has not run. */
redisReply *redis_run_script(struct redis *redis, const struct script *script, const char *key,
                             const struct command *arguments, bool repeatable, struct error *err) must_check;
