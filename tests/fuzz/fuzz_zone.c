/* A TZif file: whatever it says, offsets are those of a clock, and local times are found near where they lie. */
#include "fuzz.h"
#include "scale/zone.h"

enum { HOUR = 3600, OFFSET_MAX = 26 * HOUR, DAY = 24 * HOUR };

static void check_at(const struct zone *zone, int64_t unix_s) {
    int offset = zone_offset(zone, unix_s);
    ensure(offset >= -OFFSET_MAX && offset <= OFFSET_MAX);
    int64_t found = zone_instant(zone, unix_s);
    ensure(found >= unix_s - OFFSET_MAX && found <= unix_s + OFFSET_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    _cleanup_zone_ struct zone *zone = zone_parse(bytes, length, &err);
    if (!zone)
        return 0;
    const int64_t year = INT64_C(31556952);
    for (int64_t when = -200 * year; when < 400 * year; when += 97 * DAY + 1234)
        check_at(zone, when);
    return 0;
}
