#include "work/gate.h"

#include <pthread.h>
#include <time.h>

#include "base/memory.h"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t free;
    bool taken;
};

struct gate *gate_new(void) {
    struct gate *gate = xnew(struct gate);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->free, NULL);
    return gate;
}

void gate_free(struct gate *gate) {
    pthread_cond_destroy(&gate->free);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

bool gate_enter(struct gate *gate, const atomic_bool *cancel) {
    pthread_mutex_lock(&gate->lock);
    while (gate->taken && !atomic_load(cancel)) {
        struct timespec soon; /* the cancel flag is not tied to the condition: look again every 100 ms */
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 100000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&gate->free, &gate->lock, &soon);
    }
    bool entered = !gate->taken && !atomic_load(cancel);
    gate->taken |= entered;
    pthread_mutex_unlock(&gate->lock);
    return entered;
}

void gate_leave(struct gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->taken = false;
    pthread_cond_signal(&gate->free);
    pthread_mutex_unlock(&gate->lock);
}
