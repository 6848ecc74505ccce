/* What nobody asks for and somebody must do: leases that ran out while no worker claims, campaigns that ended long ago,
 * telling the queue when jobs are given up, and saying so when Redis has lost everything. */
#include "base/log.h"
#include "recover/recover.h"
#include "server/request.h"

enum { SWEEP_MS = 1000, LOOK_EVERY = 60 };

static void sweep(struct server *server) {
    struct error err;
    struct queue *queue = server_queue_take(server, &err);
    bool more = queue != NULL;
    if (queue && server->failure && !queue_set_failure(queue, server->failure, &err))
        more = false;
    while (more && !atomic_load(&server->stopping))
        if (!queue_sweep(queue, QUEUE_KEEP_FINISHED_MS, &more, &err))
            more = false; /* Redis is away: requests say so, and the next turn tries again */
    if (queue)
        server_queue_give(server, queue);
}

/* Tells once that Redis is empty beside a store that is not; *lost: it was so the last time. */
static void look_for_loss(struct server *server, bool *lost) {
    struct error err;
    struct queue *queue = server_queue_take(server, &err);
    bool needed = false;
    if (queue && recover_is_needed(queue, server->store, &needed, &err) && needed && !*lost)
        log_write(NULL, LOG_WARN,
                  "Redis is empty, but the store holds campaigns: if they were lost, mela recover brings them back "
                  "(mela recover --dry-run shows which)");
    *lost = needed;
    if (queue)
        server_queue_give(server, queue);
}

void *housekeeping_thread(void *server) {
    bool lost = false;
    for (unsigned turn = 0; server_sleep(server, SWEEP_MS); turn++) {
        if (turn % LOOK_EVERY == 0)
            look_for_loss(server, &lost);
        sweep(server);
    }
    return NULL;
}
