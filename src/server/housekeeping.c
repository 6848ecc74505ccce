/* What nobody asks for and somebody must do: leases that ran out while no worker claims, campaigns that ended long ago.
 */
#include <time.h>

#include "base/log.h"
#include "server/request.h"

enum { SWEEP_S = 1 };

/* Waits for the next turn; false when the server stops. */
static bool sleep_until_next(struct server *server) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += SWEEP_S;
    pthread_mutex_lock(&server->lock);
    while (!atomic_load(&server->stopping) && pthread_cond_timedwait(&server->change, &server->lock, &end) == 0)
        continue;
    pthread_mutex_unlock(&server->lock);
    return !atomic_load(&server->stopping);
}

static void sweep(struct server *server) {
    struct error err;
    struct queue *queue = server_queue_take(server, &err);
    bool more = queue != NULL;
    while (more && !atomic_load(&server->stopping))
        if (!queue_sweep(queue, QUEUE_KEEP_FINISHED_MS, &more, &err))
            more = false; /* Redis is away: requests say so, and the next turn tries again */
    if (queue)
        server_queue_give(server, queue);
}

void *housekeeping_thread(void *server) {
    while (sleep_until_next(server))
        sweep(server);
    return NULL;
}
