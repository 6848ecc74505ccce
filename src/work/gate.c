#include "work/gate.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"

enum { CANCEL_POLL_MS = 100 }; /* the cancel flag does not signal the condition, so it is read this often */

struct gate {
    pthread_mutex_t lock; /* guards `taken`; while it is held nothing is called but the condition */
    pthread_cond_t left;  /* signalled when the one inside leaves */
    bool taken;
};

struct gate *gate_new(void) {
    struct gate *gate = xnew(struct gate);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->left, NULL);
    return gate;
}

void gate_free(struct gate *gate) {
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

bool gate_enter(struct gate *gate, const atomic_bool *cancel) {
    /* The flag orders nothing (see flow_stopped): what the job before left behind comes with the lock. */
    pthread_mutex_lock(&gate->lock);
    while (gate->taken && !atomic_load(cancel)) {
        int64_t until_ms = clock_monotonic_ms(clock_system()) + CANCEL_POLL_MS;
        struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
        /* Not by wall time, which an operator may set back. */
        pthread_cond_clockwait(&gate->left, &gate->lock, CLOCK_MONOTONIC, &until);
    }
    bool entered = !gate->taken && !atomic_load(cancel);
    gate->taken |= entered;
    pthread_mutex_unlock(&gate->lock);
    return entered;
}

void gate_leave(struct gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->taken = false;
    pthread_cond_signal(&gate->left);
    pthread_mutex_unlock(&gate->lock);
}
