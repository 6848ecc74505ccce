/* Shared by the files of the queue room. */
#pragma once

#include "queue/queue.h"
#include "redis.h"

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
/* False with queue.not_found when the text is no job id, or no campaign id. */
bool queue_check_job_id(const char *id, struct job_id *parsed, struct error *err) must_check;
bool queue_check_campaign_id(const char *id, struct error *err) must_check;
/* The names of all pools, with spaces between, as one argument. */
void queue_add_pools(struct command *arguments);
/* What follows "<campaign>/". */
const char *queue_job_suffix(const char *job_id);
