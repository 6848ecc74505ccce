/* Keeps the queue told of what the calendars say, in a thread. */
#pragma once

#include "base/clock.h"
#include "scale/policy.h"

struct hold_keeper;

/* All arguments are borrowed. Redis that does not answer is asked again; a hold ends by itself at its time even
 * if nobody lives to say so. Several keepers of one farm do no harm. NULL, logged, when there is no thread. */
struct hold_keeper *hold_keeper_start(const struct queue_options *options, const struct scale_policies *policies,
                                      const struct clock *clock);
void hold_keeper_stop(struct hold_keeper *keeper);
