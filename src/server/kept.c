#include "server/kept.h"

void kept_init(struct kept *kept) {
    *kept = (struct kept){0};
    pthread_mutex_init(&kept->lock, NULL);
}

bool kept_lock(struct kept *kept, const struct clock *clock) {
    pthread_mutex_lock(&kept->lock);
    return !kept->is_made || clock_monotonic_ms(clock) - kept->made_ms >= KEPT_MS;
}

void kept_unlock(struct kept *kept, const struct clock *clock, bool is_new) {
    if (is_new) {
        kept->is_made = true;
        kept->made_ms = clock_monotonic_ms(clock);
    }
    pthread_mutex_unlock(&kept->lock);
}

void kept_clear(struct kept *kept) { pthread_mutex_destroy(&kept->lock); }
