#include "worker/node.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "worker/kubernetes.h"
#include "worker/spot.h"

enum {
    TICK_MS = 500,
    SPOT_MS = 5000,   /* AWS recommends to ask every five seconds */
    IDLE_MS = 3000,   /* a pause between two jobs is not worth two writes to the cluster */
    RETRY_MS = 10000, /* after the cluster refused or was away */
    COST_BUSY = 1000, /* the default of a pod that says nothing is 0 */
    COST_UNKNOWN = -1,
};

struct node {
    struct node_options options;
    pthread_t thread;
    atomic_bool stop;              /* a lone flag; what follows is of the thread alone until the join */
    struct kubernetes *kubernetes; /* NULL: no cluster */
    struct spot *spot;
    int cost;
    int64_t busy_ms, cost_after_ms, spot_after_ms;
    bool has_left;
};

/* A pod is busy until it was idle for IDLE_MS, so that pauses between jobs cost no writes. */
static void node_set_cost(struct node *node, int64_t now) {
    bool busy = node->options.is_busy(node->options.context);
    if (busy)
        node->busy_ms = now;
    bool lately = now - node->busy_ms < IDLE_MS && node->cost == COST_BUSY;
    int cost = busy || lately ? COST_BUSY : 0;
    struct error err;
    if (cost == node->cost || now < node->cost_after_ms)
        return;
    if (kubernetes_set_deletion_cost(node->kubernetes, cost, &err)) {
        node->cost = cost;
        return;
    }
    node->cost_after_ms = now + RETRY_MS;
    log_write(NULL, LOG_WARN, "the pod's deletion cost is not set: %s", err.message);
}

static void node_ask_spot(struct node *node, int64_t now) {
    char action[32];
    if (node->has_left || now < node->spot_after_ms)
        return;
    node->spot_after_ms = now + SPOT_MS;
    if (!spot_noticed(node->spot, action))
        return;
    node->has_left = true;
    log_write(NULL, LOG_WARN, "AWS takes this spot instance away (%s): draining", action);
    node->options.leave(node->options.context);
}

static void *node_run(void *context) {
    struct node *node = context;
    while (!atomic_load(&node->stop) && (node->kubernetes || !spot_is_absent(node->spot))) {
        int64_t now = clock_monotonic_ns(clock_system()) / 1000000;
        if (node->kubernetes)
            node_set_cost(node, now);
        node_ask_spot(node, now);
        clock_sleep_ms(clock_system(), TICK_MS);
    }
    return NULL;
}

static void node_free(struct node *node) {
    kubernetes_close_cleanup(&node->kubernetes);
    spot_free(node->spot);
    free(node);
}

struct node *node_start(const struct node_options *options, struct error *err) {
    struct node *node = xnew(struct node);
    *node = (struct node){.options = *options,
                          .kubernetes = kubernetes_open(),
                          .spot = spot_new(),
                          .cost = COST_UNKNOWN,
                          .busy_ms = INT64_MIN / 2};
    if (thread_start(&node->thread, "node", node_run, node, err))
        return node;
    node_free(node);
    return NULL;
}

void node_stop(struct node *node) {
    atomic_store(&node->stop, true);
    pthread_join(node->thread, NULL);
    node_free(node);
}
