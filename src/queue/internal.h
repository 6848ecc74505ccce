/* Shared by the files of the queue room. */
#pragma once

#include "queue/queue.h"
#include "queue/scripts.h"
#include "redis/redis.h"

struct queue {
    struct redis *redis;
    char *prefix;  /* "{farm}:" */
    unsigned turn; /* which pool this connection's next claim asks first */
};

/* Runs a script of this farm. */
redisReply *queue_script(struct queue *queue, const struct script *script, const struct command *arguments,
                         bool repeatable, struct error *err) must_check;
/* Runs a script that answers with a status: "ok", or an error's name, which becomes the error about `what`.
 */
bool queue_status_script(struct queue *queue, const struct script *script, const struct command *arguments,
                         bool repeatable, const char *what, struct error *err) must_check;
/* The names of all pools, with spaces between, as one argument. */
void queue_add_pools(struct command *arguments);
