/* A flag that another thread raises to end what the store waits for. Internal to the room; store_options has the flag.
 */
#pragma once

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"

/* No wait lasts longer than this before it looks at the flag. */
enum { CANCEL_POLL_MS = 100 };

/* NULL: never. A lone flag on which no other memory hangs: any order would do. */
static inline bool is_cancelled(const atomic_bool *cancel) { return cancel && atomic_load(cancel); }
/* False with `cancelled` once the flag is raised. */
bool cancel_check(const atomic_bool *cancel, struct error *err) must_check;
/* Sleeps, but ends soon after the flag is raised. */
void cancel_sleep(const atomic_bool *cancel, const struct clock *clock, int64_t ms);
