#include "scale/calendar.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "farm/spec.h"
#include "scale/zone.h"

enum { DAY_S = 86400, DAYS_MAX = 1000, DAYS_AHEAD = 366 };

struct special_day {
    int64_t day; /* since 1970, in the calendar's zone */
    bool hold;
};

struct calendar {
    struct zone *zone;
    bool quiet; /* has quiet hours */
    int from_s, to_s;
    bool classes[CLASS_COUNT];
    struct special_day *days;
    size_t day_count;
};

/* ---- reading ---- */

static int read_time(struct spec *spec, const json_t *object, const char *key, const char *path, int fallback) {
    const char *text = json_string_value(json_object_get(object, key));
    int hour, minute, end = 0;
    if (!json_object_get(object, key))
        return fallback;
    if (text && strlen(text) == 5 && sscanf(text, "%2d:%2d%n", &hour, &minute, &end) == 2 && end == 5 && hour >= 0 &&
        hour <= 23 && minute >= 0 && minute <= 59)
        return (hour * 60 + minute) * 60;
    spec_problem(spec, path, key, "is not a time of day such as \"23:00\"");
    return fallback;
}

static void read_classes(struct spec *spec, const json_t *list, const char *path, struct calendar *out) {
    if (list)
        memset(out->classes, 0, sizeof out->classes);
    if (list && json_array_size(list) == 0)
        spec_problem(spec, path, "classes", "is not a list of classes such as [\"batch\"]");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        enum campaign_class class;
        if (name && campaign_class_parse(name, &class))
            out->classes[class] = true;
        else
            spec_problem(spec, path, "classes", "holds something that is neither \"urgent\" nor \"batch\"");
    }
}

static void read_quiet(struct spec *spec, const json_t *quiet, const char *path, struct calendar *out) {
    static const char *const known[] = {"from", "to", "zone", "classes", NULL};
    if (quiet && !json_is_object(quiet) && !json_is_null(quiet))
        spec_problem(spec, path, NULL, "is neither null nor an object such as {\"from\":\"23:00\",\"to\":\"07:00\"}");
    spec_unknown_members(spec, quiet, path, known);
    out->quiet = quiet ? !json_is_null(quiet) : out->quiet;
    out->from_s = read_time(spec, quiet, "from", path, 23 * 3600);
    out->to_s = read_time(spec, quiet, "to", path, 7 * 3600);
    if (out->from_s == out->to_s)
        spec_problem(spec, path, "to", "is the same as \"from\"; null is no quiet hours");
    out->classes[CLASS_BATCH] = true;
    read_classes(spec, json_object_get(quiet, "classes"), path, out);
    const char *zone = spec_string(spec, quiet, "zone", path, false, 1, 64);
    struct error err;
    out->zone = zone_open(zone ? zone : "Asia/Kolkata", &err);
    if (!out->zone)
        spec_problem(spec, path, "zone", err.message);
}

static bool parse_date(const char *text, int64_t *day) {
    struct tm date = {0}, normal;
    int end = 0;
    if (strlen(text) != 10 || sscanf(text, "%4d-%2d-%2d%n", &date.tm_year, &date.tm_mon, &date.tm_mday, &end) != 3 ||
        end != 10)
        return false;
    date.tm_year -= 1900;
    date.tm_mon--;
    normal = date;
    *day = timegm(&normal) / DAY_S;
    return normal.tm_mon == date.tm_mon && normal.tm_mday == date.tm_mday && date.tm_year >= 70;
}

static void read_days(struct spec *spec, const json_t *days, const char *path, struct calendar *out) {
    const char *date;
    json_t *value;
    if (days && (!json_is_object(days) || json_object_size(days) > DAYS_MAX)) {
        spec_problem(spec, path, NULL, "is not an object of at most 1000 dates such as {\"2026-11-08\":\"hold\"}");
        return;
    }
    out->days = xnew_array(struct special_day, json_object_size(days) + 1);
    json_object_foreach ((json_t *)(uintptr_t)days, date, value) {
        const char *what = json_string_value(value);
        bool hold = what && strcmp(what, "hold") == 0;
        struct special_day *day = &out->days[out->day_count++];
        day->hold = hold;
        if (!parse_date(date, &day->day))
            spec_problem(spec, path, date, "is not a date such as 2026-11-08");
        if (!hold && (!what || strcmp(what, "run") != 0))
            spec_problem(spec, path, date, "is neither \"hold\" nor \"run\"");
    }
}

struct calendar *calendar_read(const json_t *pool, const char *path, bool quiet_by_default, json_t *problems) {
    struct spec spec = {problems};
    size_t before = json_array_size(problems);
    _cleanup_calendar_ struct calendar *calendar = xnew(struct calendar);
    calendar->quiet = quiet_by_default;
    _cleanup_free_ char *quiet = xasprintf("%s.quiet_hours", path), *days = xasprintf("%s.days", path);
    read_quiet(&spec, json_object_get(pool, "quiet_hours"), quiet, calendar);
    read_days(&spec, json_object_get(pool, "days"), days, calendar);
    return json_array_size(problems) == before ? steal(calendar) : NULL;
}

void calendar_free(struct calendar *calendar) {
    if (calendar->zone)
        zone_free(calendar->zone);
    free(calendar->days);
    free(calendar);
}

/* ---- asking ---- */

static int64_t instant(const struct calendar *calendar, int64_t day, int seconds) {
    return zone_instant(calendar->zone, day * DAY_S + seconds);
}

/* The day between whose midnights the time lies. */
static int64_t day_at(const struct calendar *calendar, int64_t unix_s) {
    int64_t local = unix_s + zone_offset(calendar->zone, unix_s);
    int64_t day = local / DAY_S - (local % DAY_S < 0);
    while (instant(calendar, day, 0) > unix_s)
        day--;
    while (instant(calendar, day + 1, 0) <= unix_s)
        day++;
    return day;
}

static const struct special_day *find_day(const struct calendar *calendar, int64_t day) {
    for (size_t i = 0; i < calendar->day_count; i++)
        if (calendar->days[i].day == day)
            return &calendar->days[i];
    return NULL;
}

/* Does the quiet time that begins on this day hold at this time? */
static bool quiet_from(const struct calendar *calendar, int64_t day, int64_t unix_s) {
    int64_t last = day + (calendar->to_s <= calendar->from_s);
    return instant(calendar, day, calendar->from_s) <= unix_s && unix_s < instant(calendar, last, calendar->to_s);
}

static bool holds(const struct calendar *calendar, int64_t unix_s) {
    int64_t day = day_at(calendar, unix_s);
    const struct special_day *special = find_day(calendar, day);
    if (special)
        return special->hold;
    return calendar->quiet && (quiet_from(calendar, day, unix_s) || quiet_from(calendar, day - 1, unix_s));
}

static int64_t seconds_of(int64_t unix_ms) { return unix_ms / 1000 - (unix_ms % 1000 < 0); }

bool calendar_holds(const struct calendar *calendar, enum campaign_class class, int64_t unix_ms) {
    return calendar->classes[class] && holds(calendar, seconds_of(unix_ms));
}

int64_t calendar_next_change(const struct calendar *calendar, enum campaign_class class, int64_t unix_ms) {
    int64_t now = seconds_of(unix_ms), today = day_at(calendar, now);
    bool state = holds(calendar, now);
    int low = MIN(calendar->from_s, calendar->to_s), high = MAX(calendar->from_s, calendar->to_s);
    for (int64_t day = today; calendar->classes[class] && day <= today + DAYS_AHEAD; day++)
        for (int i = 0; i < 3; i++) {
            int64_t at = instant(calendar, day, i == 0 ? 0 : i == 1 ? low : high);
            if (at > now && holds(calendar, at) != state)
                return at * 1000;
        }
    return INT64_MAX;
}
