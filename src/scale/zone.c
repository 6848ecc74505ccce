#include "scale/zone.h"

#include <ctype.h>
#include <endian.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"

enum { HEADER = 44, DAY = 86400, FILE_MAX = 1 << 20, TYPE_SIZE = 6, OFFSET_MAX = 26 * 3600 };

/* When daylight saving time begins or ends in a year: M (month, week, weekday), J (day without 29 February) or
 * N (day from 0). */
struct change {
    char form;
    int month, week, day;
    int time_s; /* on the clock before the change */
};

struct rule {
    int standard, daylight; /* seconds east */
    bool changes;
    struct change start, end;
};

struct zone {
    int64_t *times; /* ascending */
    int *offsets;   /* from times[i] on */
    size_t count;
    int first; /* before times[0], or always when there is neither time nor rule */
    bool has_rule;
    struct rule rule; /* from the last time on */
};

/* ---- POSIX TZ texts (tzset(3)) ---- */

static bool posix_read_number(const char **text, int high, int *out) {
    int value = 0;
    const char *start = *text;
    for (; isdigit((unsigned char)**text) && value <= high; ++*text)
        value = value * 10 + **text - '0';
    *out = value;
    return *text > start && value <= high;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool posix_read_time(const char **text, int hours_max, int *out) {
    int sign = **text == '-' ? -1 : 1, hours = 0, minutes = 0, seconds = 0;
    *text += **text == '-' || **text == '+';
    bool good = posix_read_number(text, hours_max, &hours);
    if (good && **text == ':' && ++*text)
        good = posix_read_number(text, 59, &minutes);
    if (good && **text == ':' && ++*text)
        good = posix_read_number(text, 59, &seconds);
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return good;
}

static bool posix_read_name(const char **text) {
    bool quoted = **text == '<';
    const char *start = *text += quoted;
    while (isalpha((unsigned char)**text) ||
           (quoted && (isdigit((unsigned char)**text) || **text == '+' || **text == '-')))
        ++*text;
    bool good = *text - start >= 3;
    if (!quoted || !good)
        return good;
    return *(*text)++ == '>';
}

static bool posix_read_mark(const char **text, char mark) {
    if (**text != mark)
        return false;
    ++*text;
    return true;
}

/* "10.5.0": a month from 1, a week from 1 (5: the last), a weekday from 0. */
static bool posix_read_month_day(const char **text, struct change *out) {
    if (!posix_read_number(text, 12, &out->month) || out->month < 1 || !posix_read_mark(text, '.'))
        return false;
    if (!posix_read_number(text, 5, &out->week) || out->week < 1 || !posix_read_mark(text, '.'))
        return false;
    return posix_read_number(text, 6, &out->day);
}

/* ",M10.5.0/3", ",J60", ",59". */
static bool posix_read_change(const char **text, struct change *out) {
    *out = (struct change){.form = 'N', .time_s = 7200};
    bool good;
    if (!posix_read_mark(text, ','))
        return false;
    if (posix_read_mark(text, 'M')) {
        out->form = 'M';
        good = posix_read_month_day(text, out);
    } else {
        if (posix_read_mark(text, 'J'))
            out->form = 'J';
        good = posix_read_number(text, 365, &out->day) && out->day >= (out->form == 'J');
    }
    if (good && posix_read_mark(text, '/'))
        good = posix_read_time(text, 167, &out->time_s);
    return good;
}

static bool posix_read_rule(const char *text, struct rule *out) {
    *out = (struct rule){0};
    if (!posix_read_name(&text) || !posix_read_time(&text, 24, &out->standard))
        return false;
    out->standard = -out->standard; /* POSIX counts westwards */
    if (*text == '\0')
        return true;
    out->changes = true;
    out->daylight = out->standard + 3600;
    if (!posix_read_name(&text))
        return false;
    if (*text != ',') {
        if (!posix_read_time(&text, 24, &out->daylight))
            return false;
        out->daylight = -out->daylight;
    }
    return posix_read_change(&text, &out->start) && posix_read_change(&text, &out->end) && *text == '\0';
}

static int64_t day_of(int year, int month, int day) {
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return timegm(&tm) / DAY;
}

static bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/* The local time of a change in a year, in seconds since 1970. */
static int64_t change_local(const struct change *change, int year) {
    int64_t day;
    if (change->form != 'M') {
        bool skip = change->form == 'J' && is_leap(year) && change->day >= 60;
        day = day_of(year, 1, 1) + change->day - (change->form == 'J') + skip;
    } else {
        int64_t first = day_of(year, change->month, 1), next = day_of(year, change->month + 1, 1);
        int weekday = (int)((first + 4) % 7 + 7) % 7; /* 1 January 1970 was a Thursday */
        day = first + (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
        while (day >= next)
            day -= 7;
    }
    return day * DAY + change->time_s;
}

static int rule_offset(const struct rule *rule, int64_t unix_s) {
    if (!rule->changes)
        return rule->standard;
    time_t local = (time_t)(unix_s + rule->standard);
    struct tm tm;
    if (!gmtime_r(&local, &tm))
        return rule->standard;
    int year = tm.tm_year + 1900;
    int64_t start = change_local(&rule->start, year) - rule->standard;
    int64_t end = change_local(&rule->end, year) - rule->daylight;
    bool summer = start < end ? unix_s >= start && unix_s < end : unix_s >= start || unix_s < end;
    return summer ? rule->daylight : rule->standard;
}

/* ---- TZif ---- */

static uint32_t big32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static int64_t big64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return (int64_t)be64toh(value);
}

struct block {
    uint64_t isut, isstd, leaps, times, types, chars;
    uint64_t size; /* of the data behind the header */
};

/* Reads a header at the start of `bytes`; false when it is none or its data does not fit. */
static bool tzif_read_block(const uint8_t *bytes, size_t length, int time_size, struct block *out) {
    if (length < HEADER || memcmp(bytes, "TZif", 4) != 0)
        return false;
    const uint8_t *counts = bytes + 20;
    *out = (struct block){big32(counts),      big32(counts + 4),  big32(counts + 8),
                          big32(counts + 12), big32(counts + 16), big32(counts + 20)};
    uint64_t time = (uint64_t)time_size;
    out->size = out->times * (time + 1) + out->types * TYPE_SIZE + out->chars + out->leaps * (time + 4) + out->isstd +
                out->isut;
    return out->size <= length - HEADER && out->types > 0 && out->types <= 256;
}

static bool tzif_read_times(struct zone *zone, const uint8_t *data, const struct block *block) {
    const uint8_t *kinds = data + 8 * block->times, *types = kinds + block->times;
    zone->count = block->times;
    zone->times = xnew_array(int64_t, zone->count + 1);
    zone->offsets = xnew_array(int, zone->count + 1);
    zone->first = (int32_t)big32(types);
    bool good = zone->first >= -OFFSET_MAX && zone->first <= OFFSET_MAX;
    for (size_t i = 0; i < zone->count && good; i++) {
        zone->times[i] = big64(data + 8 * i);
        good = kinds[i] < block->types && (i == 0 || zone->times[i] > zone->times[i - 1]);
        zone->offsets[i] = good ? (int32_t)big32(types + TYPE_SIZE * kinds[i]) : 0;
        good = good && zone->offsets[i] >= -OFFSET_MAX && zone->offsets[i] <= OFFSET_MAX;
    }
    return good;
}

/* The POSIX text between two newlines after the data, which applies after the last time; it may be empty. */
static bool tzif_read_footer(struct zone *zone, const uint8_t *bytes, size_t length) {
    const uint8_t *end = length > 1 && bytes[0] == '\n' ? memchr(bytes + 1, '\n', length - 1) : NULL;
    if (!end)
        return false;
    _cleanup_free_ char *text = xstrndup((const char *)bytes + 1, (size_t)(end - bytes) - 1);
    zone->has_rule = text[0] != '\0';
    return !zone->has_rule || posix_read_rule(text, &zone->rule);
}

struct zone *zone_parse(const void *bytes, size_t length, struct error *err) {
    const uint8_t *at = bytes;
    struct block block = {0};
    _cleanup_zone_ struct zone *zone = xnew(struct zone);
    bool good = tzif_read_block(at, length, 4, &block) && at[4] >= '2';
    if (good) {
        at += HEADER + block.size;
        length -= HEADER + block.size;
        good = tzif_read_block(at, length, 8, &block) && tzif_read_times(zone, at + HEADER, &block) &&
               tzif_read_footer(zone, at + HEADER + block.size, length - HEADER - block.size);
    }
    if (good)
        return steal(zone);
    error_set(err, ERR_CONFIG_INVALID, "is not a time zone file of version 2 or later");
    return NULL;
}

/* ---- zones ---- */

static bool is_zone_name(const char *name) {
    if (!isalpha((unsigned char)name[0]) || strlen(name) > 64)
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("/_+-", *c))
            return false;
    return true;
}

static const char *built_in(const char *name) {
    return strcmp(name, "UTC") == 0 ? "UTC0" : strcmp(name, "Asia/Kolkata") == 0 ? "IST-5:30" : name;
}

struct zone *zone_open(const char *name, struct error *err) {
    const char *directory = getenv("TZDIR");
    _cleanup_free_ char *path = xasprintf("%s/%s", directory ? directory : "/usr/share/zoneinfo", name);
    _cleanup_buffer_ struct buffer bytes = {0};
    struct error none;
    if (is_zone_name(name) && file_read(path, FILE_MAX, &bytes, &none))
        return zone_parse(bytes.data, bytes.length, err);
    _cleanup_zone_ struct zone *zone = xnew(struct zone);
    zone->has_rule = posix_read_rule(built_in(name), &zone->rule);
    if (zone->has_rule)
        return steal(zone);
    error_set(err, ERR_CONFIG_INVALID,
              "is not a time zone of this machine, such as Europe/Berlin (is tzdata installed?)");
    return NULL;
}

void zone_free(struct zone *zone) {
    free(zone->times);
    free(zone->offsets);
    free(zone);
}

int zone_offset(const struct zone *zone, int64_t unix_s) {
    if (zone->has_rule && (zone->count == 0 || unix_s >= zone->times[zone->count - 1]))
        return rule_offset(&zone->rule, unix_s);
    size_t low = 0, high = zone->count; /* how many times are not after unix_s */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->times[middle] <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? zone->offsets[low - 1] : zone->first;
}

int64_t zone_instant(const struct zone *zone, int64_t local_s) {
    int before = zone_offset(zone, local_s - DAY), after = zone_offset(zone, local_s + DAY);
    int64_t late = local_s - before, early = local_s - after;
    if (zone_offset(zone, late) == before)
        return late;
    if (zone_offset(zone, early) == after)
        return early;
    while (late - early > 1) { /* skipped: the change lies in (early, late] */
        int64_t middle = early + (late - early) / 2;
        if (zone_offset(zone, middle) == before)
            early = middle;
        else
            late = middle;
    }
    return late;
}
