/* Something that is made anew at most once a second, however many threads ask for it. Private to this room. */
#pragma once

#include <pthread.h>

#include "base/clock.h"

enum { KEPT_MS = 1000 };

struct kept {
    /* Guards what is kept, and the next two. Held while it is made anew, which may wait for Redis and the store:
     * whoever asks meanwhile wants that answer. */
    pthread_mutex_t lock;
    bool is_made;
    int64_t made_ms; /* by the monotonic clock */
};

/* Nothing is kept yet. */
void kept_init(struct kept *kept);
/* Takes the lock. True when nothing is kept, or for a second already: the caller makes it anew before it lets go. */
bool kept_lock(struct kept *kept, const struct clock *clock);
/* `is_new`: it was made anew; its second begins now, so that those who waited do not find it old again. */
void kept_unlock(struct kept *kept, const struct clock *clock, bool is_new);
void kept_clear(struct kept *kept);
