/* Shared by the files of the queue room. */
#pragma once

#include "queue/queue.h"
#include "queue/scripts.h"
#include "redis/redis.h"

struct queue {
    struct redis *redis;
    char *prefix;         /* "{farm}:" */
    unsigned turn;        /* which of its pools this connection's next claim begins with */
    bool waits_until_due; /* the wait that has begun ends when a job is due, not only with a marker */
};

/* Runs a script of this farm. The caller frees the reply. `repeatable` as in redis_run. */
redisReply *queue_script(struct queue *queue, const struct script *script, const struct command *arguments,
                         bool repeatable, struct error *err) must_check;
/* Runs a script that returns a status: "ok", or an error's name, which becomes the error; `what` begins its message. */
bool queue_status_script(struct queue *queue, const struct script *script, const struct command *arguments,
                         bool repeatable, const char *what, struct error *err) must_check;
/* Adds one argument: the names of all pools, with spaces between. */
void queue_add_pools(struct command *arguments);
