#include "server/last_counts.h"

#include <pthread.h>

#include "base/memory.h"

struct last_counts {
    /* Guards what follows. Nothing is called while it is held. */
    pthread_mutex_t lock;
    struct pool_counts counts[POOL_COUNT];
    bool is_known[POOL_COUNT];
};

struct last_counts *last_counts_new(void) {
    struct last_counts *last = xnew(struct last_counts);
    pthread_mutex_init(&last->lock, NULL);
    return last;
}

void last_counts_free(struct last_counts *last) {
    pthread_mutex_destroy(&last->lock);
    free(last);
}

void last_counts_put(struct last_counts *last, enum pool pool, const struct pool_counts *counts) {
    pthread_mutex_lock(&last->lock);
    last->counts[pool] = *counts;
    last->is_known[pool] = true;
    pthread_mutex_unlock(&last->lock);
}

bool last_counts_get(struct last_counts *last, enum pool pool, struct pool_counts *out) {
    pthread_mutex_lock(&last->lock);
    bool is_known = last->is_known[pool];
    if (is_known)
        *out = last->counts[pool];
    pthread_mutex_unlock(&last->lock);
    return is_known;
}
