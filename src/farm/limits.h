/* What the farm refuses: one table (limits.def), each limit with its error and what to do; docs/limits.md has the
 * reasons. What a spec may hold is checked where it is read, in campaign.c. */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum limit {
#define LIMIT(symbol, most, error, what, advice, reason) LIMIT_##symbol,
#include "farm/limits.def"
#undef LIMIT
    LIMIT_COUNT
};

/* The largest value that is allowed. */
int64_t limit_most(enum limit limit);
/* True while `found` is within the limit; else its error, with "<subject> has <found> ...". False for NaN. */
bool limit_check(enum limit limit, double found, const char *subject, struct error *err) must_check;
