#include "base/ring.h"

#include <pthread.h>

#include "base/memory.h"

struct ring {
    /* Guards all below but `items` and `capacity` themselves, which never change. Nothing is called while it is held
     * but the two conditions, so it can be locked under any other lock. */
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    void **items;
    size_t capacity, head, count; /* head: the oldest item */
    bool closed, aborted;
};

struct ring *ring_new(size_t capacity) {
    struct ring *ring = xnew(struct ring);
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->not_empty, NULL);
    pthread_cond_init(&ring->not_full, NULL);
    ring->items = xnew_array(void *, capacity);
    ring->capacity = capacity;
    return ring;
}

void ring_free(struct ring *ring) {
    pthread_cond_destroy(&ring->not_full);
    pthread_cond_destroy(&ring->not_empty);
    pthread_mutex_destroy(&ring->lock);
    free(ring->items);
    free(ring);
}

/* Under the lock. */
static void *ring_remove_oldest(struct ring *ring) {
    void *item = ring->items[ring->head];
    ring->head = (ring->head + 1) % ring->capacity;
    ring->count--;
    return item;
}

bool ring_push(struct ring *ring, void *item) {
    pthread_mutex_lock(&ring->lock);
    while (ring->count == ring->capacity && !ring->closed && !ring->aborted)
        pthread_cond_wait(&ring->not_full, &ring->lock);
    bool open = !ring->closed && !ring->aborted;
    if (open) {
        ring->items[(ring->head + ring->count++) % ring->capacity] = item;
        pthread_cond_signal(&ring->not_empty);
    }
    pthread_mutex_unlock(&ring->lock);
    return open;
}

void *ring_pop(struct ring *ring) {
    void *item = NULL;
    pthread_mutex_lock(&ring->lock);
    while (ring->count == 0 && !ring->closed && !ring->aborted)
        pthread_cond_wait(&ring->not_empty, &ring->lock);
    if (ring->count > 0 && !ring->aborted) {
        item = ring_remove_oldest(ring);
        pthread_cond_signal(&ring->not_full);
    }
    pthread_mutex_unlock(&ring->lock);
    return item;
}

/* `flag`: closed or aborted. Everybody wakes, since everybody's condition may have changed. */
static void ring_stop(struct ring *ring, bool *flag) {
    pthread_mutex_lock(&ring->lock);
    *flag = true;
    pthread_cond_broadcast(&ring->not_empty);
    pthread_cond_broadcast(&ring->not_full);
    pthread_mutex_unlock(&ring->lock);
}

void ring_close(struct ring *ring) { ring_stop(ring, &ring->closed); }

void ring_abort(struct ring *ring) { ring_stop(ring, &ring->aborted); }

void *ring_drain(struct ring *ring) {
    pthread_mutex_lock(&ring->lock);
    void *item = ring->count > 0 ? ring_remove_oldest(ring) : NULL;
    pthread_mutex_unlock(&ring->lock);
    return item;
}
