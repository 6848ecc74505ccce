/* scale: how many workers a queue asks for, when, and keeping that many.
 *
 * Rule and calendar are data of farm.json and the same everywhere: the local farm of `mela up`, the API's
 * answers, the metrics and the simulator. They promise never more than the cap over both classes, urgent first;
 * never zero while a lease is held; and in quiet hours nothing of a held class begins, what runs finishes, and
 * nothing is killed. */
#pragma once

#include "scale/calendar.h"
#include "scale/local.h"
#include "scale/policy.h"
#include "scale/rule.h"
