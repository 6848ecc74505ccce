/* What no request brings about: leases that ran out while no worker claims end, campaigns that ended long ago go, the
 * queue learns when jobs are to be given up, and a Redis that has lost everything is noticed. */
#include "server/housekeeping.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "recover/recover.h"

enum { SWEEP_MS = 1000, SWEEPS_A_CHECK = 60 };

struct housekeeping {
    const struct api *api;
    const struct failure_policies *failure; /* may be NULL */
    bool is_lost;                           /* Redis was empty beside a full store at the last check */
    pthread_t thread;
};

/* Errors are not shown: Redis does not answer, requests say so, and the next sweep tries again. */
static void housekeeping_sweep(const struct housekeeping *keeping, struct queue *queue) {
    struct error away;
    bool more = !keeping->failure || queue_set_failure(queue, keeping->failure, &away);
    while (more && !lifetime_is_over(keeping->api->lifetime))
        if (!queue_sweep(queue, QUEUE_KEEP_FINISHED_MS, &more, &away))
            return;
}

/* Warns, once, when Redis is empty and the store is not. */
static void housekeeping_check_loss(struct housekeeping *keeping, struct queue *queue) {
    struct error away;
    bool is_lost = false;
    if (recover_is_needed(queue, keeping->api->store, &is_lost, &away) && is_lost && !keeping->is_lost)
        log_write(NULL, LOG_WARN,
                  "Redis is empty, but the store holds campaigns: if they were lost, mela recover brings them back "
                  "(mela recover --dry-run shows which)");
    keeping->is_lost = is_lost;
}

static void *housekeeping_thread(void *context) {
    struct housekeeping *keeping = context;
    struct connections *connections = keeping->api->connections;
    for (unsigned sweep = 0; lifetime_sleep(keeping->api->lifetime, SWEEP_MS); sweep++) {
        struct error away;
        struct queue *queue = connections_borrow(connections, &away);
        if (!queue)
            continue;
        if (sweep % SWEEPS_A_CHECK == 0)
            housekeeping_check_loss(keeping, queue);
        housekeeping_sweep(keeping, queue);
        connections_return(connections, queue);
    }
    return NULL;
}

struct housekeeping *housekeeping_start(const struct api *api, const struct failure_policies *failure,
                                        struct error *err) {
    _cleanup_free_ struct housekeeping *keeping = xnew(struct housekeeping);
    *keeping = (struct housekeeping){.api = api, .failure = failure};
    return thread_start(&keeping->thread, "housekeeping", housekeeping_thread, keeping, err) ? steal(keeping) : NULL;
}

void housekeeping_stop(struct housekeeping *keeping) {
    pthread_join(keeping->thread, NULL);
    free(keeping);
}
