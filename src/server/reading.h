/* What the farm is like right now, as far as Redis knows; /metrics and CloudWatch are told it. Private to this room. */
#pragma once

#include "server/request.h"

enum { READING_CAMPAIGNS = 50 };
enum worker_state { WORKER_IDLE, WORKER_BUSY, WORKER_DRAINING, WORKER_STATE_COUNT };
const char *worker_state_name(enum worker_state state);

struct reading {
    struct pool_counts counts[POOL_COUNT];
    int desired[POOL_COUNT];                     /* workers, by the rule */
    int workers[POOL_COUNT][WORKER_STATE_COUNT]; /* that live; one of several pools counts in each */
    json_t *totals;                              /* of queue_totals */
    json_t *overview;                            /* of queue_overview, the newest READING_CAMPAIGNS */
    struct redis_state redis;
};

/* False when Redis does not answer; whatever was read is freed by reading_free all the same. */
bool reading_take(const struct server *server, struct queue *queue, struct reading *out, struct error *err) must_check;
int reading_workers(const struct reading *reading, enum pool pool);
void reading_free(struct reading *reading);
#define _cleanup_reading_ _cleanup_(reading_free)
