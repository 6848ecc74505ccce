/* The calendar of a pool: when which class is held. Quiet hours every night, days that are different. */
#pragma once

#include "farm/campaign.h"

struct calendar;

/* Reads "quiet_hours" and "days" of a pool in farm.json (NULL: none given):
 *   {"quiet_hours": {"from": "23:00", "to": "07:00", "zone": "Asia/Kolkata", "classes": ["batch"]},
 *    "days": {"2026-11-08": "hold", "2026-11-09": "run"}}
 * These hours are the default too, unless `quiet_by_default` is false; "quiet_hours": null is none. A day that is
 * "hold" is quiet from midnight to midnight, one that is "run" is not quiet at all. Problems are appended to `problems`
 * as {"path","message"}; NULL if there was any. */
struct calendar *calendar_read(const json_t *pool, const char *path, bool quiet_by_default,
                               json_t *problems) must_check;
void calendar_free(struct calendar *calendar);
DEFINE_CLEANUP(struct calendar *, calendar_free)
#define _cleanup_calendar_ _cleanup_(calendar_free_cleanup)

/* Is the class held at this Unix time? Every night is one whole interval: a time of day that a change of the
 * clocks skips counts as the moment of the change, one that comes twice as its first coming. */
bool calendar_holds(const struct calendar *calendar, enum campaign_class class, int64_t unix_ms);
/* The next Unix time, after `unix_ms`, at which calendar_holds() answers differently; INT64_MAX when there is
 * none within a year. */
int64_t calendar_next_change(const struct calendar *calendar, enum campaign_class class, int64_t unix_ms);
