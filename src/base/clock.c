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
    struct tm utc;
    gmtime_r(&time, &utc);
    char date[24] = "";
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, 32, "%s.%03dZ", date, (int)rest);
}

/* Reads "Z" or "+05:30" into minutes east of UTC; false for anything else. */
static bool parse_offset(const char *text, int *minutes) {
    *minutes = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    int hour, minute, end = 0;
    if ((text[0] != '+' && text[0] != '-') || sscanf(text + 1, "%2d:%2d%n", &hour, &minute, &end) != 2 ||
        end != 5 || text[6] != '\0' || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return false;
    *minutes = (text[0] == '-' ? -1 : 1) * (hour * 60 + minute);
    return true;
}

bool clock_parse_iso(const char *text, int64_t *unix_ms) {
    struct tm utc = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (!rest)
        return false;
    int64_t ms = 0;
    if (*rest == '.') {
        int64_t unit = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            ms += (*rest - '0') * unit;
    }
    int offset;
    if (!parse_offset(rest, &offset))
        return false;
    *unix_ms = ((int64_t)timegm(&utc) - offset * 60) * 1000 + ms;
    return true;
}
