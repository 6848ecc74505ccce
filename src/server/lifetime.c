#include "server/lifetime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/memory.h"

struct lifetime {
    /* Written under the lock, so that nobody who is about to sleep misses the change; read also without it, where all
     * that follows is that a loop ends one turn sooner or later. Sequentially consistent, the default: one load a
     * turn costs nothing. */
    atomic_bool is_over;
    /* Guards `entered`. Nothing is called while it is held. */
    pthread_mutex_t lock;
    pthread_cond_t change; /* `is_over` was set, or `entered` fell to 0; waits by the monotonic clock */
    int entered;
};

struct lifetime *lifetime_new(void) {
    struct lifetime *lifetime = xnew(struct lifetime);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&lifetime->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&lifetime->lock, NULL);
    return lifetime;
}

void lifetime_free(struct lifetime *lifetime) {
    pthread_cond_destroy(&lifetime->change);
    pthread_mutex_destroy(&lifetime->lock);
    free(lifetime);
}

void lifetime_enter(struct lifetime *lifetime) {
    pthread_mutex_lock(&lifetime->lock);
    lifetime->entered++;
    pthread_mutex_unlock(&lifetime->lock);
}

void lifetime_leave(struct lifetime *lifetime) {
    pthread_mutex_lock(&lifetime->lock);
    if (--lifetime->entered == 0)
        pthread_cond_broadcast(&lifetime->change);
    pthread_mutex_unlock(&lifetime->lock);
}

bool lifetime_is_over(const struct lifetime *lifetime) { return atomic_load(&lifetime->is_over); }

/* The monotonic time `ms` from now. */
static struct timespec time_from_now(int64_t ms) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += ms % 1000 * 1000000;
    end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    return end;
}

bool lifetime_sleep(struct lifetime *lifetime, int64_t ms) {
    struct timespec end = time_from_now(ms);
    pthread_mutex_lock(&lifetime->lock);
    while (!lifetime_is_over(lifetime) && pthread_cond_timedwait(&lifetime->change, &lifetime->lock, &end) == 0)
        continue;
    pthread_mutex_unlock(&lifetime->lock);
    return !lifetime_is_over(lifetime);
}

void lifetime_end(struct lifetime *lifetime, int64_t wait_ms) {
    struct timespec end = time_from_now(wait_ms);
    pthread_mutex_lock(&lifetime->lock);
    atomic_store(&lifetime->is_over, true);
    pthread_cond_broadcast(&lifetime->change);
    for (int status = 0; lifetime->entered > 0 && status == 0;)
        status = pthread_cond_timedwait(&lifetime->change, &lifetime->lock, &end);
    pthread_mutex_unlock(&lifetime->lock);
}
