/* The state of the farm at one time, as Redis knows it; /metrics and CloudWatch show it. Private to this room. */
#pragma once

#include "base/json.h"
#include "queue/queue.h"
#include "scale/policy.h"

enum { READING_CAMPAIGNS = 50 };
enum worker_state { WORKER_IDLE, WORKER_BUSY, WORKER_DRAINING, WORKER_ILL, WORKER_STATE_COUNT };
const char *worker_state_name(enum worker_state state);

struct reading {
    struct pool_counts counts[POOL_COUNT];
    int desired[POOL_COUNT];                     /* workers, by the rule */
    int workers[POOL_COUNT][WORKER_STATE_COUNT]; /* that live; one of several pools counts in each */
    json_t *totals;                              /* of queue_totals */
    json_t *overview;                            /* of queue_overview, the newest READING_CAMPAIGNS */
    struct redis_state redis;
};

/* Asks Redis; `policies` may be NULL. False with the queue's errors; reading_free is due all the same. */
bool reading_fetch(struct queue *queue, const struct scale_policies *policies, struct reading *out,
                   struct error *err) must_check;
/* All workers of a pool that live, whatever their state. */
int reading_workers(const struct reading *reading, enum pool pool);
void reading_free(struct reading *reading);
#define _cleanup_reading_ _cleanup_(reading_free)

/* The rule of a pool; the default one when `policies` is NULL. */
const struct scale_rule *pool_rule(const struct scale_policies *policies, enum pool pool);
