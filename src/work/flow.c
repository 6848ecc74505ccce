#include "work/flow.h"

void flow_init(struct flow *flow, const atomic_bool *cancel) {
    *flow = (struct flow){.cancel = cancel};
    pthread_mutex_init(&flow->lock, NULL);
}

void flow_destroy(struct flow *flow) {
    for (int i = 0; i < flow->ring_count; i++)
        ring_free(flow->rings[i]);
    pthread_mutex_destroy(&flow->lock);
}

struct ring *flow_add_ring(struct flow *flow, size_t capacity) {
    return flow->rings[flow->ring_count++] = ring_new(capacity);
}

bool flow_fail(struct flow *flow, const struct error *err) {
    pthread_mutex_lock(&flow->lock);
    if (!flow->failed)
        flow->err = *err;
    flow->failed = true;
    pthread_mutex_unlock(&flow->lock);
    for (int i = 0; i < flow->ring_count; i++)
        ring_abort(flow->rings[i]);
    return false;
}

bool flow_stopped(struct flow *flow) {
    /* No other memory goes with the flag: any memory order would do. */
    if (flow->cancel && atomic_load(flow->cancel)) {
        struct error err;
        error_set(&err, ERR_CANCELLED, "the job was told to stop");
        flow_fail(flow, &err);
    }
    pthread_mutex_lock(&flow->lock);
    bool failed = flow->failed;
    pthread_mutex_unlock(&flow->lock);
    return failed;
}

bool flow_result(struct flow *flow, struct error *err) {
    if (!flow_stopped(flow))
        return true;
    *err = flow->err; /* without the lock: it is never written again once the flow failed */
    return false;
}
