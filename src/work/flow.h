/* What the threads of one pipeline share: the first failure stops all of them. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/ring.h"

enum { FLOW_RINGS_MAX = 4 };

struct flow {
    /* Set before the pipeline's threads start, and only read by them: starting a thread orders that. */
    const atomic_bool *cancel;          /* borrowed, set by another thread at any time; NULL: cannot be cancelled */
    struct ring *rings[FLOW_RINGS_MAX]; /* owned */
    int ring_count;

    pthread_mutex_t lock; /* guards the two below; nothing is called while it is held */
    bool failed;
    struct error err; /* the first failure; never written again once `failed` is true */
};

/* Before any thread starts. `cancel` must outlive the flow. */
void flow_init(struct flow *flow, const atomic_bool *cancel);
/* After all threads were joined. Frees the rings, which must be empty. */
void flow_destroy(struct flow *flow);
/* A new ring, the flow's; before any thread starts, at most FLOW_RINGS_MAX times. */
struct ring *flow_add_ring(struct flow *flow, size_t capacity);
/* Keeps the error if it is the first, then aborts every ring, so that no thread waits any more; returns false. A push
 * or pop that an abort refused therefore always comes after an error that was kept. Any thread. */
bool flow_fail(struct flow *flow, const struct error *err);
/* True when the pipeline failed, or the cancel flag was raised, which then counts as the failure `cancelled`. Any
 * thread; each asks once a frame or batch. */
bool flow_stopped(struct flow *flow);
/* True when nothing failed; else the first error. Any thread; the job's own asks after it joined the others. */
bool flow_result(struct flow *flow, struct error *err) must_check;
