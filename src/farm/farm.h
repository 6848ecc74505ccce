/* farm: what a farm is made of, as plain data. Campaigns, jobs, plans, keys, settings.
 *
 * Everything here is pure: no Redis, no store, no files but farm.json, no threads. It promises that a parsed
 * campaign is valid, that ids and store keys are formed in one place only, and that the graph of jobs follows
 * from the campaign and its plan alone. */
#pragma once

#include "farm/campaign.h"
#include "farm/job.h"
#include "farm/layout.h"
#include "farm/plan.h"
