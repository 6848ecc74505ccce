/* Looks whether Redis holds what the queue's invariants say, on a farm that works, in bounded pieces. */
#pragma once

#include "queue/queue.h"

/* {"keys": looked at, "campaigns":..., "jobs":..., "findings":[{"what","where","repaired"}...] of at most 1,000}.
 * `repair`: puts right what can be derived from the rest: orphans are removed, lines, leases, sums and what is waited
 * for are made to fit the jobs' records. */
json_t *queue_check(struct queue *queue, bool repair, struct error *err) must_check;

/* {"memory_bytes","campaigns","finished","dead","leases","workers","events","oldest_ready_ms",
 * "pools":{"cpu":{"urgent":{"ready","leased","delayed"},"batch":{...}}...},"totals":as queue_totals}. */
json_t *queue_stats(struct queue *queue, struct error *err) must_check;
