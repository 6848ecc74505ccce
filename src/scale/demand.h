/* The queue's counts, kept in memory by a thread that watches the queue, for any thread to read; and what the rule
 * makes of them. */
#pragma once

#include "scale/policy.h"

struct demand;

/* Starts the thread. It reads the counts whenever something happens in the queue, and once a second. While Redis does
 * not answer the last picture stands. Copies the options. internal: there is no thread to be had. */
struct demand *demand_start(const struct queue_options *options, struct error *err) must_check;
/* Waits for the thread, a second or, when Redis does not answer, a call's deadline. */
void demand_stop(struct demand *demand);
DEFINE_CLEANUP(struct demand *, demand_stop)
#define _cleanup_demand_ _cleanup_(demand_stop_cleanup)
/* The last picture; false when there has not been any yet. */
bool demand_get(struct demand *demand, enum pool pool, struct pool_counts *out);
/* From now on `descriptor`, an eventfd, is written to whenever the picture changes; -1: nothing is. It replaces the one
 * before, which is not written to any more when this returns. */
void demand_notify(struct demand *demand, int descriptor);

/* Waits a second at most for an event after `last` ("0": any), and moves `last` to the newest there is. An event that
 * came between a reading of the queue and this wait ends the wait at once, so none is missed. queue.unavailable. */
bool demand_wait(struct queue *queue, char last[EVENT_ID_MAX + 1], struct error *err) must_check;

enum { DEMAND_ALL = -1 };
/* Workers wanted for one class of a pool, or by one deployment that serves both (DEMAND_ALL); see scale_desired(). */
int demand_desired(const struct scale_rule *rule, const struct pool_counts *counts, int class);
