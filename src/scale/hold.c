#include "scale/hold.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"

enum {
    AGAIN_MS = 60000, /* written again after it, in case Redis lost it or the machine's clock was set */
    PAUSE_MS = 5000,  /* while Redis does not answer */
};

struct hold_keeper {
    struct queue_options options;
    const struct scale_policies *policies;
    const struct clock *clock;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `stopping`; the thread sleeps on `stop` with it and calls Redis without it */
    pthread_cond_t stop;  /* of the monotonic clock */
    bool stopping;
};

/* Writes the holds; returns in how many ms to do so again. Logs the first failure of several in a row. */
static int64_t hold_write(struct hold_keeper *keeper, struct queue **queue, bool *answering) {
    struct error err;
    int64_t now = clock_wall_ms(keeper->clock), next = INT64_MAX;
    if (!*queue)
        *queue = queue_open(&keeper->options, &err);
    bool ok = *queue && scale_write_holds(keeper->policies, *queue, now, &next, &err);
    if (!ok && *answering)
        log_write(NULL, LOG_WARN, "the quiet hours were not written to the queue: %s", err.message);
    *answering = ok;
    return ok ? CLAMP(next - now, 1, (int64_t)AGAIN_MS) : PAUSE_MS;
}

/* False when the keeper is to stop. */
static bool hold_wait(struct hold_keeper *keeper, int64_t ms) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t ns = end.tv_nsec + ms % 1000 * 1000000;
    end.tv_sec += ms / 1000 + ns / 1000000000;
    end.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&keeper->lock);
    for (int status = 0; !keeper->stopping && status == 0;)
        status = pthread_cond_timedwait(&keeper->stop, &keeper->lock, &end);
    bool go_on = !keeper->stopping;
    pthread_mutex_unlock(&keeper->lock);
    return go_on;
}

static void *hold_run(void *context) {
    struct hold_keeper *keeper = context;
    _cleanup_queue_ struct queue *queue = NULL;
    bool answering = true;
    while (hold_wait(keeper, hold_write(keeper, &queue, &answering)))
        continue;
    return NULL;
}

struct hold_keeper *hold_keeper_start(const struct queue_options *options, const struct scale_policies *policies,
                                      const struct clock *clock) {
    struct hold_keeper *keeper = xnew(struct hold_keeper);
    keeper->options = *options;
    keeper->policies = policies;
    keeper->clock = clock;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&keeper->lock, NULL);
    struct error err;
    if (thread_start(&keeper->thread, "hold", hold_run, keeper, &err))
        return keeper;
    log_write(NULL, LOG_ERROR, "quiet hours are not kept: %s", err.message);
    free(keeper);
    return NULL;
}

void hold_keeper_stop(struct hold_keeper *keeper) {
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->stop);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    pthread_cond_destroy(&keeper->stop);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}
