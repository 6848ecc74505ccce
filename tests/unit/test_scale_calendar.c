#include "test.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "scale/calendar.h"
#include "scale/zone.h"

static int64_t at(const char *text) {
    int64_t ms = 0;
    if (!clock_parse_iso(text, &ms))
        fail_msg("%s is no time", text);
    return ms;
}

static struct calendar *calendar_of(const char *text) {
    struct error err;
    _cleanup_json_ json_t *pool = json_parse(text, strlen(text), &err), *problems = json_array();
    struct calendar *calendar = calendar_read(pool, "$", true, problems);
    _cleanup_free_ char *found = json_line(problems);
    if (!calendar)
        fail_msg("%s: %s", text, found);
    return calendar;
}

static void assert_held(const struct calendar *calendar, const char *time, bool held) {
    if (calendar_holds(calendar, CLASS_BATCH, at(time)) != held)
        fail_msg("at %s batch should%s be held", time, held ? "" : " not");
}

/* The next change after a time is at another. */
static void assert_change(const struct calendar *calendar, const char *time, const char *wanted) {
    char found[32];
    int64_t next = calendar_next_change(calendar, CLASS_BATCH, at(time));
    clock_format_iso(next, found);
    if (next != at(wanted))
        fail_msg("after %s the next change is %s, not %s", time, found, wanted);
}

static void the_default_is_night_in_india_for_batch(void **state) {
    _cleanup_calendar_ struct calendar *calendar = calendar_of("{}");
    assert_held(calendar, "2026-11-08T22:59:59.999+05:30", false);
    assert_held(calendar, "2026-11-08T23:00:00+05:30", true);
    assert_held(calendar, "2026-11-09T06:59:59+05:30", true);
    assert_held(calendar, "2026-11-09T07:00:00+05:30", false);
    assert_false(calendar_holds(calendar, CLASS_URGENT, at("2026-11-09T03:00:00+05:30")));
    assert_change(calendar, "2026-11-08T12:00:00+05:30", "2026-11-08T23:00:00+05:30");
    assert_change(calendar, "2026-11-08T23:00:00+05:30", "2026-11-09T07:00:00+05:30");
    assert_change(calendar, "2026-11-09T06:59:59+05:30", "2026-11-09T07:00:00+05:30");
    assert_true(calendar_next_change(calendar, CLASS_URGENT, at("2026-11-09T03:00:00Z")) == INT64_MAX);
}

static void quiet_hours_can_be_none_or_by_day(void **state) {
    _cleanup_calendar_ struct calendar *none = calendar_of("{\"quiet_hours\":null}");
    assert_held(none, "2026-11-08T23:30:00+05:30", false);
    assert_true(calendar_next_change(none, CLASS_BATCH, at("2026-11-09T03:00:00Z")) == INT64_MAX);
    _cleanup_calendar_ struct calendar *noon = calendar_of(
        "{\"quiet_hours\":{\"from\":\"12:00\",\"to\":\"13:30\",\"zone\":\"UTC\",\"classes\":[\"urgent\"]}}");
    assert_false(calendar_holds(noon, CLASS_BATCH, at("2026-11-08T12:30:00Z")));
    assert_true(calendar_holds(noon, CLASS_URGENT, at("2026-11-08T13:29:59Z")));
    assert_false(calendar_holds(noon, CLASS_URGENT, at("2026-11-08T13:30:00Z")));
}

static void days_can_be_different(void **state) {
    _cleanup_calendar_ struct calendar *calendar =
        calendar_of("{\"days\":{\"2026-11-08\":\"hold\",\"2026-11-20\":\"run\"}}");
    assert_held(calendar, "2026-11-08T12:00:00+05:30", true);
    assert_change(calendar, "2026-11-07T22:00:00+05:30", "2026-11-07T23:00:00+05:30");
    assert_change(calendar, "2026-11-07T23:30:00+05:30", "2026-11-09T07:00:00+05:30");
    assert_held(calendar, "2026-11-19T23:30:00+05:30", true);
    assert_held(calendar, "2026-11-20T00:00:00+05:30", false);
    assert_held(calendar, "2026-11-20T23:59:59+05:30", false);
    assert_held(calendar, "2026-11-21T00:00:00+05:30", true);
    assert_change(calendar, "2026-11-20T12:00:00+05:30", "2026-11-21T00:00:00+05:30");
}

/* Summer time began on 29 March 2026 at 02:00 and ends on 25 October at 03:00. */
static void nights_in_berlin_are_shorter_and_longer(void **state) {
    _cleanup_calendar_ struct calendar *calendar = calendar_of("{\"quiet_hours\":{\"zone\":\"Europe/Berlin\"}}");
    assert_change(calendar, "2026-03-28T12:00:00Z", "2026-03-28T22:00:00Z");
    assert_change(calendar, "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z");
    assert_change(calendar, "2026-03-29T05:00:00Z", "2026-03-29T21:00:00Z");
    assert_change(calendar, "2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z");
    assert_held(calendar, "2026-10-25T05:59:59Z", true);
    assert_change(calendar, "2045-07-01T12:00:00Z", "2045-07-01T21:00:00Z"); /* by the rule in the file's footer */
}

/* 8 March 2026: 02:00-03:00 is skipped; 1 November 2026: 01:00-02:00 comes twice. */
static void skipped_and_repeated_times_in_new_york(void **state) {
    _cleanup_calendar_ struct calendar *skipped =
        calendar_of("{\"quiet_hours\":{\"from\":\"02:30\",\"to\":\"05:00\",\"zone\":\"America/New_York\"}}");
    assert_change(skipped, "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z"); /* at once when the clock jumps */
    assert_change(skipped, "2026-03-08T07:00:00Z", "2026-03-08T09:00:00Z");
    _cleanup_calendar_ struct calendar *twice =
        calendar_of("{\"quiet_hours\":{\"from\":\"01:30\",\"to\":\"06:00\",\"zone\":\"America/New_York\"}}");
    assert_change(twice, "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z");
    assert_held(twice, "2026-11-01T06:10:00Z", true); /* 01:10 for the second time: still the same night */
    assert_change(twice, "2026-11-01T05:30:00Z", "2026-11-01T11:00:00Z");
    _cleanup_calendar_ struct calendar *ends_twice =
        calendar_of("{\"quiet_hours\":{\"from\":\"23:00\",\"to\":\"01:30\",\"zone\":\"America/New_York\"}}");
    assert_change(ends_twice, "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z");
    assert_held(ends_twice, "2026-11-01T06:10:00Z", false);
    assert_change(ends_twice, "2026-11-01T06:10:00Z", "2026-11-02T04:00:00Z");
}

static void posix_zones_of_the_south_and_of_both_day_forms(void **state) {
    struct error err;
    _cleanup_zone_ struct zone *sydney = zone_open("AEST-10AEDT,M10.1.0,M4.1.0/3", &err);
    assert_non_null(sydney);
    assert_int_equal(zone_offset(sydney, at("2026-01-15T00:00:00Z") / 1000), 11 * 3600);
    assert_int_equal(zone_offset(sydney, at("2026-07-15T00:00:00Z") / 1000), 10 * 3600);
    assert_int_equal(zone_offset(sydney, at("2026-04-04T15:59:59Z") / 1000), 11 * 3600);
    assert_int_equal(zone_offset(sydney, at("2026-04-04T16:00:00Z") / 1000), 10 * 3600);
    _cleanup_zone_ struct zone *days = zone_open("<-03>3<-02>,J60/0,300/0", &err);
    assert_non_null(days);
    assert_int_equal(zone_offset(days, at("2028-03-01T02:59:59Z") / 1000), -3 * 3600);
    assert_int_equal(zone_offset(days, at("2028-03-01T03:00:00Z") / 1000), -2 * 3600);
    static const char *const wrong[] = {"",
                                        "X",
                                        "QQQ",
                                        "CET-1CEST",
                                        "CET-1CEST,M13.1.0,M10.5.0",
                                        "CET-99",
                                        "CET-1CEST,M3.5.0,M10.5.0x",
                                        "<abc",
                                        "CET-1CEST,",
                                        "/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_null(zone_open(wrong[i], &err));
}

/* A file cut or changed anywhere is refused or read as some zone; nothing is read outside of it. */
static void damaged_zone_files_do_no_harm(void **state) {
    struct error err;
    _cleanup_buffer_ struct buffer file = {0};
    if (!file_read("/usr/share/zoneinfo/Europe/Berlin", 1 << 20, &file, &err))
        skip();
    for (size_t length = 0; length < file.length; length++) {
        _cleanup_free_ char *part = xcalloc(1, length ? length : 1);
        memcpy(part, file.data, length);
        assert_null(zone_parse(part, length, &err));
    }
    for (size_t i = 0; i < file.length; i++) {
        _cleanup_free_ char *bytes = xcalloc(1, file.length);
        memcpy(bytes, file.data, file.length);
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        _cleanup_zone_ struct zone *zone = zone_parse(bytes, file.length, &err);
        if (zone)
            assert_in_range(zone_instant(zone, 1790000000) + 100000, 1790000000, 1790200000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_night_in_india_for_batch),
        cmocka_unit_test(quiet_hours_can_be_none_or_by_day),
        cmocka_unit_test(days_can_be_different),
        cmocka_unit_test(nights_in_berlin_are_shorter_and_longer),
        cmocka_unit_test(skipped_and_repeated_times_in_new_york),
        cmocka_unit_test(posix_zones_of_the_south_and_of_both_day_forms),
        cmocka_unit_test(damaged_zone_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
