#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t system_wall_ms(void *context) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_monotonic_ns(void *context) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void system_sleep_ms(void *context, int64_t ms) {
    struct timespec duration = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&duration, NULL);
}

const struct clock *clock_system(void) {
    static const struct clock system_clock = {system_wall_ms, system_monotonic_ns, system_sleep_ms, NULL};
    return &system_clock;
}

void clock_format_iso(int64_t unix_ms, char out[32]) {
    int64_t seconds = unix_ms / 1000, rest = unix_ms % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    time_t time = (time_t)seconds;
    struct tm utc = {0};
    gmtime_r(&time, &utc);
    snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
             utc.tm_hour, utc.tm_min, utc.tm_sec, (int)rest);
}

/* Reads "Z" or "+05:30" into minutes east of UTC; false for anything else. */
static bool parse_offset(const char *text, int *minutes) {
    *minutes = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    int hour, minute, end = 0;
    if ((text[0] != '+' && text[0] != '-') || sscanf(text + 1, "%2d:%2d%n", &hour, &minute, &end) != 2 || end != 5 ||
        text[6] != '\0' || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return false;
    *minutes = (text[0] == '-' ? -1 : 1) * (hour * 60 + minute);
    return true;
}

/* strptime takes fewer digits, spaces and a second 61, and timegm the 30th of February: none is RFC 3339. */
static bool is_date_time(const char *text) {
    static const char shape[] = "0000-00-00T00:00:00";
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i] && !(i == 10 && text[i] == 't'))
            return false;
    return true;
}

bool clock_parse_iso(const char *text, int64_t *unix_ms) {
    struct tm utc = {0}, normal;
    if (!is_date_time(text) || sscanf(text, "%d-%d-%d%*c%d:%d:%d", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
                                      &utc.tm_hour, &utc.tm_min, &utc.tm_sec) != 6)
        return false;
    utc.tm_year -= 1900;
    utc.tm_mon--;
    normal = utc;
    time_t seconds = timegm(&normal);
    if (normal.tm_mday != utc.tm_mday || normal.tm_mon != utc.tm_mon || normal.tm_hour != utc.tm_hour ||
        normal.tm_min != utc.tm_min || normal.tm_sec != utc.tm_sec)
        return false;
    const char *rest = text + strlen("0000-00-00T00:00:00");
    int64_t ms = 0;
    if (*rest == '.') {
        if (rest[1] < '0' || rest[1] > '9')
            return false;
        int64_t unit = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            ms += (*rest - '0') * unit;
    }
    int offset;
    if (!parse_offset(rest, &offset))
        return false;
    *unix_ms = ((int64_t)seconds - offset * 60) * 1000 + ms;
    /* In UTC too the year has four digits, so that clock_format_iso writes what can be read again. */
    const int64_t year_0 = INT64_C(-62167219200000), year_10000 = INT64_C(253402300800000);
    return *unix_ms >= year_0 && *unix_ms < year_10000;
}
