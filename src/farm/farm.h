/* farm: what a farm is made of, as plain data: campaigns, jobs, plans, keys of the store, settings.
 *
 * Everything here is pure: no Redis, no store, no file but farm.json, no threads. It promises that a parsed campaign is
 * valid, that ids and store keys are formed in one place only, and that the graph of jobs follows from the campaign and
 * its plan alone. Functions that return a name return static text; an enumeration's value must be one of its own. What
 * is parsed copies its input. */
#pragma once

#include "farm/campaign.h"
#include "farm/graph.h"
#include "farm/job.h"
#include "farm/layout.h"
#include "farm/plan.h"
