/* What farm.json says about the pools: rule and calendar of each. */
#pragma once

#include "farm/config.h"
#include "queue/queue.h"
#include "scale/calendar.h"
#include "scale/rule.h"

struct scale_policy {
    struct scale_rule rule;
    struct calendar *calendar;
};

struct scale_policies {
    struct scale_policy pools[POOL_COUNT];
};

/* Reads "pools" of farm.json, {"lipsync": {"rule", "max", "quiet_hours", "days"}, ...}; NULL, and whatever is
 * missing: the defaults, with quiet hours among them only if `quiet_by_default`. Problems are appended to `problems` as
 * {"path","message"}; NULL if there was any. */
struct scale_policies *scale_policies_read(const json_t *pools, bool quiet_by_default, json_t *problems) must_check;
/* The same from the settings; config.invalid names all problems, which are also left in *problems (a new
 * reference, or NULL) when that is not NULL. */
struct scale_policies *scale_policies_load(const struct config *config, bool quiet_by_default, json_t **problems,
                                           struct error *err) must_check;
void scale_policies_free(struct scale_policies *policies);
DEFINE_CLEANUP(struct scale_policies *, scale_policies_free)
#define _cleanup_policies_ _cleanup_(scale_policies_free_cleanup)

/* What the queue counted, as the rule wants it. */
struct scale_demand scale_demand_of(const struct pool_counts *counts);

/* Adds `more` to a sum over pools. A class that is held in one pool counts there only what it leases. */
void scale_demand_add(struct scale_demand *sum, const struct scale_demand *more);

/* Writes what the calendars hold at `now_ms` into the queue, whose claims go by it. *next_ms is when the calendars say
 * something else. Repeating it changes nothing. */
bool scale_write_holds(const struct scale_policies *policies, struct queue *queue, int64_t now_ms, int64_t *next_ms,
                       struct error *err) must_check;
/* Lets a class run from `now_ms` on: a hold set by hand ends, and the calendar's, if it holds now, is passed
 * over until its next change. */
bool scale_resume(const struct scale_policies *policies, struct queue *queue, enum pool pool, enum campaign_class class,
                  int64_t now_ms, struct error *err) must_check;
