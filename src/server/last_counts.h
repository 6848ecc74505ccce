/* The counts that Redis last gave of each pool, for the time in which it does not answer. For several threads at once.
 * Private to this room. */
#pragma once

#include "queue/queue.h"

struct last_counts;

struct last_counts *last_counts_new(void);
void last_counts_free(struct last_counts *last);
/* Remembers the counts of a pool in place of the ones before. */
void last_counts_put(struct last_counts *last, enum pool pool, const struct pool_counts *counts);
/* False when there were none of this pool yet. */
bool last_counts_get(struct last_counts *last, enum pool pool, struct pool_counts *out);
