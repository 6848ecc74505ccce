#include "worker/node.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
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
    atomic_bool stop;
    struct kubernetes *kubernetes; /* NULL: no cluster */
    struct spot *spot;
    int cost;
    int64_t busy_ms, cost_after_ms, spot_after_ms;
    bool has_left;
};

static void tell_cost(struct node *node, int64_t now) {
    bool busy = node->options.is_busy(node->options.context);
    node->busy_ms = busy ? now : node->busy_ms;
    int cost = now - node->busy_ms < IDLE_MS && (busy || node->cost == COST_BUSY) ? COST_BUSY : 0;
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

static void ask_spot(struct node *node, int64_t now) {
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

static void *run(void *context) {
    struct node *node = context;
    while (!atomic_load(&node->stop) && (node->kubernetes || !spot_is_absent(node->spot))) {
        int64_t now = clock_monotonic_ns(clock_system()) / 1000000;
        if (node->kubernetes)
            tell_cost(node, now);
        ask_spot(node, now);
        clock_sleep_ms(clock_system(), TICK_MS);
    }
    return NULL;
}

struct node *node_start(const struct node_options *options) {
    struct node *node = xnew(struct node);
    *node = (struct node){.options = *options,
                          .kubernetes = kubernetes_open(),
                          .spot = spot_new(),
                          .cost = COST_UNKNOWN,
                          .busy_ms = INT64_MIN / 2};
    if (pthread_create(&node->thread, NULL, run, node) != 0)
        abort(); /* as for lack of memory */
    return node;
}

void node_stop(struct node *node) {
    atomic_store(&node->stop, true);
    pthread_join(node->thread, NULL);
    kubernetes_close_cleanup(&node->kubernetes);
    spot_free(node->spot);
    free(node);
}
