/* A thread that writes the calendars' holds into the queue, at every change and once a minute. */
#pragma once

#include "base/clock.h"
#include "scale/policy.h"

struct hold_keeper;

/* All arguments are borrowed. Redis that does not answer is asked again. A hold carries its end, so it ends even if no
 * keeper lives. Several keepers of one farm write the same. NULL, logged, when there is no thread to be had. */
struct hold_keeper *hold_keeper_start(const struct queue_options *options, const struct scale_policies *policies,
                                      const struct clock *clock);
/* Waits for the thread, which may be in a call of Redis. */
void hold_keeper_stop(struct hold_keeper *keeper);
