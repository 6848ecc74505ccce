/* Errors, buffers, JSON, digests and times. */
#include "directory_fixture.h"

#include <errno.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"

static void error_table(void **state) {
    for (int code = ERR_NONE; code < ERR_COUNT; code++) {
        const char *name = error_name((enum error_code)code);
        assert_int_equal(error_from_name(name), code); /* so no two share a name */
        assert_in_range(error_http_status((enum error_code)code), 200, 599);
    }
    assert_string_equal(error_name(ERR_STORE_NOT_FOUND), "store.not_found");
    assert_int_equal(error_fault(ERR_STORE_NOT_FOUND), FAULT_INPUT);
    assert_int_equal(error_fault(ERR_STORE_UNAVAILABLE), FAULT_WORLD);
    assert_int_equal(error_fault(ERR_STORE_DENIED), FAULT_WORKER);
    assert_string_equal(fault_name(FAULT_WORKER), "worker");
    assert_int_equal(error_from_name("of.tomorrow"), ERR_INTERNAL);
    static const enum error_code outside[] = {(enum error_code)9999, (enum error_code) - 1, ERR_COUNT};
    for (size_t i = 0; i < ARRAY_LENGTH(outside); i++) {
        assert_string_equal(error_name(outside[i]), "internal");
        assert_string_equal(error_meaning(outside[i]), error_meaning(ERR_INTERNAL));
        assert_int_equal(error_http_status(outside[i]), 500);
        assert_int_equal(error_fault(outside[i]), FAULT_WORLD);
    }
}

static void error_messages(void **state) {
    struct error err;
    assert_false(error_set(&err, ERR_IO, "%s %d", "file", 7));
    assert_false(error_wrap(&err, "job %s", "x"));
    assert_string_equal(err.message, "job x: file 7");
    assert_int_equal(err.code, ERR_IO);
    assert_false(error_set_errno(&err, ERR_IO, ENOENT, "cannot read %s", "f"));
    assert_string_equal(err.message, "cannot read f: No such file or directory");
    assert_false(error_set_errno(&err, ERR_IO, ENOSPC, "f"));
    assert_int_equal(err.code, ERR_DISK_FULL);
    char long_text[3000];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    assert_false(error_set(&err, ERR_IO, "%s", long_text));
    assert_false(error_wrap(&err, "%s", long_text));
    assert_false(error_set_errno(&err, ERR_IO, EIO, "%s", long_text));
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void buffers(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};
    buffer_append(&buffer, NULL, 0);
    assert_string_equal(buffer.data, "");
    for (int i = 0; i < 1000; i++)
        buffer_appendf(&buffer, "%d,", i);
    assert_int_equal(buffer.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_memory_equal(buffer.data + buffer.length - 4, "999,", 5);
    buffer_clear(&buffer);
    static const int64_t numbers[] = {0, 7, -7, 1234567890123456789, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        buffer_append_integer(&buffer, numbers[i]);
        buffer_append_text(&buffer, ",");
    }
    assert_string_equal(buffer.data, "0,7,-7,1234567890123456789,9223372036854775807,-9223372036854775808,");
    buffer_clear(&buffer);
    buffer_append(&buffer, "a\0b", 3);
    assert_int_equal(buffer.length, 3);
    _cleanup_free_ char *stolen = buffer_steal(&buffer);
    assert_memory_equal(stolen, "a\0b", 4);
    assert_null(buffer.data);
    _cleanup_free_ char *empty = buffer_steal(&buffer);
    assert_string_equal(empty, "");
}

static void json(void **state) {
    struct error err;
    static const char text[] = "{\"z\":1,\"a\":\"x\",\"f\":2.5,\"t\":true}";
    _cleanup_json_ json_t *value = json_parse(text, strlen(text), &err);
    assert_ok(value, err);
    _cleanup_free_ char *line = json_line(value);
    assert_string_equal(line, text);
    assert_string_equal(json_get_string(value, "a", NULL), "x");
    assert_string_equal(json_get_string(value, "z", "not text"), "not text");
    assert_int_equal(json_get_integer(value, "z", 0), 1);
    assert_int_equal(json_get_integer(value, "a", 9), 9);
    assert_true(json_get_number(value, "z", 0) == 1 && json_get_number(value, "f", 0) == 2.5);
    assert_true(json_get_bool(value, "t", false) && json_get_bool(value, "none", true));
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "{\"a\":1} x", "{\"a\":\"\xff\"}", "[1,]"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_code(json_parse(bad[i], strlen(bad[i]), &err) != NULL, ERR_JSON_INVALID, err);
    assert_code(json_parse("\n\n  !", 5, &err) != NULL, ERR_JSON_INVALID, err);
    assert_non_null(strstr(err.message, "line 3"));
}

/* FIPS 180-2 appendix B.1; RFC 4231 test case 2. */
static void digests(void **state) {
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of("abc", 3, digest);
    hex_encode(digest, sizeof digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(is_sha256_hex(hex));
    hex[0] = 'B';
    assert_false(is_sha256_hex(hex));
    hex[63] = '\0';
    assert_false(is_sha256_hex(hex + 1));
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest);
    hex_encode(digest, sizeof digest, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    struct sha256 *parts = sha256_new();
    sha256_update(parts, "a", 1);
    sha256_update(parts, "bc", 2);
    sha256_finish(parts, digest);
    hex_encode(digest, sizeof digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void times(void **state) {
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2026-11-08T18:00:00+05:30", 1794141000000},
                {"2026-11-08T12:30:00.000Z", 1794141000000},
                {"2026-11-08t12:30:00.25z", 1794141000250},
                {"2026-11-08T12:30:00.123456789Z", 1794141000123},
                {"2026-11-08T07:30:00-05:00", 1794141000000},
                {"2024-02-29T00:00:00Z", 1709164800000}};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        int64_t ms = -1;
        assert_true(clock_parse_iso(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {"",
                                      "2026-11-08",
                                      "2026-11-08T12:30:00",
                                      "2026-11-08 12:30:00Z",
                                      "2026-02-30T00:00:00Z",
                                      "2025-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-11-08T24:00:00Z",
                                      "2026-11-08T12:60:00Z",
                                      "2026-11-08T12:30:00+5:30",
                                      "2026-11-08T12:30:00+05:3",
                                      "2026-11-08T12:30:00+0530",
                                      "2026-11-08T12:30:00Zx",
                                      "2026-11-08T12:30:00+05:300",
                                      "2026-11-08T12:30:00.Z",
                                      " 2026-11-08T12:30:00Z",
                                      "26-1-1T1:2:3Z",
                                      "2026-11-08T12:30:00+24:00",
                                      "tomorrow"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        int64_t ms;
        if (clock_parse_iso(bad[i], &ms))
            fail_msg("\"%s\" was taken for a time", bad[i]);
    }
    char text[32];
    clock_format_iso(1794141000250, text);
    assert_string_equal(text, "2026-11-08T12:30:00.250Z");
    int64_t ms;
    assert_true(clock_parse_iso("0226-11-08T18:00:00+05:30", &ms));
    clock_format_iso(ms, text);
    assert_string_equal(text, "0226-11-08T12:30:00.000Z");
    assert_false(clock_parse_iso("9999-12-31T23:59:59-05:00", &ms));
    assert_false(clock_parse_iso("0000-01-01T00:00:00+05:00", &ms));
    clock_format_iso(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_table), cmocka_unit_test(error_messages), cmocka_unit_test(buffers),
        cmocka_unit_test(json),        cmocka_unit_test(digests),        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
