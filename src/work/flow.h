/* What the threads of one pipeline share: the first failure stops all of them. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/ring.h"

enum { FLOW_RINGS_MAX = 4 };

struct flow {
    const atomic_bool *cancel;
    struct ring *rings[FLOW_RINGS_MAX]; /* owned */
    int ring_count;
    pthread_mutex_t lock;
    bool failed;
    struct error err;
};

void flow_init(struct flow *flow, const atomic_bool *cancel);
/* Frees the rings, which must be empty. */
void flow_destroy(struct flow *flow);
struct ring *flow_add_ring(struct flow *flow, size_t capacity);
/* Keeps the first error and aborts every ring; returns false. */
bool flow_fail(struct flow *flow, const struct error *err);
/* True when the pipeline failed or the cancel flag was raised (which then counts as the failure `cancelled`).
 */
bool flow_stopped(struct flow *flow);
/* After all threads ended: passes the first error on. */
bool flow_result(struct flow *flow, struct error *err) must_check;
