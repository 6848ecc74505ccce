/* Counts of what the API did. Private to this room; safe from any thread. */
#pragma once

#include "server/request.h"

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* Counts a completed request; `route` NULL: none matched; `status` 0: the client left before the answer. */
void metrics_count(struct metrics *metrics, const struct route *route, unsigned status, int64_t duration_ns);
