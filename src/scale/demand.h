/* What the queue asks for, kept in memory: one thread watches the queue, any thread reads; and what
 * the rule makes of it. */
#pragma once

#include "scale/policy.h"

struct demand;

/* Starts the thread. It looks whenever something happens in the queue, and once a second. Redis that does not answer is
 * waited for; until it answers again the last picture stands. */
struct demand *demand_start(const struct queue_options *options, struct error *err) must_check;
void demand_stop(struct demand *demand);
DEFINE_CLEANUP(struct demand *, demand_stop)
#define _cleanup_demand_ _cleanup_(demand_stop_cleanup)
/* The last picture; false when there has not been any yet. */
bool demand_get(struct demand *demand, enum pool pool, struct pool_counts *out);
/* `descriptor`, an eventfd, is written to whenever the picture changed; -1: no more. One at a time. */
void demand_notify(struct demand *demand, int descriptor);

enum { EVENT_ID_MAX = 48 };
/* Waits for events behind `last` ("0": from the start), a second at most, and passes all there are: none that comes
 * between a look at the queue and this wait is missed. */
bool demand_wait(struct queue *queue, char last[EVENT_ID_MAX], struct error *err) must_check;

enum { DEMAND_ALL = -1 };
/* Workers wanted for one class of a pool, or by one deployment that serves both (DEMAND_ALL); see scale_desired(). */
int demand_desired(const struct scale_rule *rule, const struct pool_counts *counts, int class);
