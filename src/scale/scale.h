/* scale: how many workers a queue asks for, when a class is held, and keeping that many workers on one machine.
 *
 * rule.h is the rule, calendar.h (on zone.h) the calendar, policy.h both as farm.json has them. demand.h watches the
 * queue, hold.h writes the calendar into it, local.h starts workers. Rule and calendar are the same everywhere: the
 * local farm of `mela up`, the API's answers, the metrics, KEDA's scaler and the simulator. They promise: never more
 * workers than the cap over both classes, urgent first; never zero while a lease is held; and in quiet hours nothing of
 * a held class begins, what runs finishes, and nothing is killed. */
#pragma once

#include "scale/calendar.h"
#include "scale/local.h"
#include "scale/policy.h"
#include "scale/rule.h"
