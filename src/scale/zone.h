/* Time zones by the system's zoneinfo (TZif, RFC 8536) or a POSIX TZ text such as "CET-1CEST,M3.5.0,M10.5.0/3".
 * Several can be open at once and be used by any thread, which the C library's own cannot. */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct zone;

/* "Europe/Berlin", looked up in $TZDIR or /usr/share/zoneinfo, or a POSIX TZ text. UTC and Asia/Kolkata are
 * known where there is no zoneinfo. config.invalid otherwise. */
struct zone *zone_open(const char *name, struct error *err) must_check;
/* The same from the bytes of a TZif file. */
struct zone *zone_parse(const void *bytes, size_t length, struct error *err) must_check;
void zone_free(struct zone *zone);
DEFINE_CLEANUP(struct zone *, zone_free)
#define _cleanup_zone_ _cleanup_(zone_free_cleanup)

/* Seconds east of UTC at a Unix time in seconds. */
int zone_offset(const struct zone *zone, int64_t unix_s);
/* The Unix time of a local one, given as seconds since 1970 on the zone's own clock. A local time that comes
 * twice is its first coming; one that is skipped is the moment of the skip. */
int64_t zone_instant(const struct zone *zone, int64_t local_s);
