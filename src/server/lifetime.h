/* Whether the server still runs, who must be waited for at its end, and sleep that its end cuts short. For several
 * threads at once. Private to this room. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct lifetime;

struct lifetime *lifetime_new(void);
void lifetime_free(struct lifetime *lifetime);

/* Around each request: lifetime_end waits for those that entered. */
void lifetime_enter(struct lifetime *lifetime);
void lifetime_leave(struct lifetime *lifetime);

/* True from lifetime_end on. Whatever loops or waits asks, and ends. */
bool lifetime_is_over(const struct lifetime *lifetime);
/* Sleeps so long; false, at once, when the lifetime is over. */
bool lifetime_sleep(struct lifetime *lifetime, int64_t ms);

/* Ends the lifetime, and waits up to `wait_ms` until all who entered have left. May be called again. */
void lifetime_end(struct lifetime *lifetime, int64_t wait_ms);
