/* The audit: whether Redis holds what the queue's promises need. Works on a farm at work, in bounded pieces
 * (docs/queue.md, "The audit"). Errors as in queue.h. */
#pragma once

#include "queue/queue.h"

/* {"keys": how many were checked, "campaigns":..., "jobs":..., "findings":[{"what","where","repaired"}...], at most
 * 1,000}. `repair`: orphans are removed, and lines, leases, sums and what is waited for are made to fit the jobs'
 * records. New reference. */
json_t *queue_check(struct queue *queue, bool repair, struct error *err) must_check;

/* {"memory_bytes","campaigns","finished","dead","leases","workers","events","oldest_ready_ms",
 * "pools":{"cpu":{"urgent":{"ready","leased","delayed"},"batch":{...}}...},"totals": as queue_totals}. New reference.
 * Not of one moment: a call for each pool and each set. */
json_t *queue_stats(struct queue *queue, struct error *err) must_check;
