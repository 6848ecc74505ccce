/* The default scaling rule. */
#pragma once

#include <stdint.h>

enum {
    SCALE_CAP = 20,              /* workers of one pool at most, unless set otherwise (design, section 8) */
    SCALE_COOL_DOWN_MS = 300000, /* how long an idle pool is kept: KEDA's default cooldownPeriod */
};

struct scale_demand {
    int64_t ready, leased, delayed; /* jobs; delayed: due within the cool-down */
};

/* Workers wanted for n = ready + leased + delayed jobs: 0 -> 0, 1-5 -> 2, 6-20 -> ceil(n/3), more ->
 * ceil(n/2), at most `cap` (design, section 8). */
int scale_desired(const struct scale_demand *demand, int cap);
