#include "test.h"

#include <string.h>

#include "base/memory.h"
#include "base/process.h"
#include "server/guard.h"
#include "server/range.h"
#include "store/http.h"

static struct guard_header header(const char *name, const char *value) {
    return (struct guard_header){name, value, strlen(name), strlen(value)};
}

static bool headers_pass(const struct guard_header *headers, size_t count, int64_t *length) {
    struct error err = {0};
    bool passed = guard_headers(headers, count, length, &err);
    assert_int_equal(err.code, passed ? ERR_NONE : ERR_API_BAD_REQUEST);
    return passed;
}

/* Host and one more header. */
static bool header_passes(const char *name, const char *value) {
    int64_t length;
    return headers_pass((struct guard_header[]){header("Host", "farm:8080"), header(name, value)}, 2, &length);
}

static void one_length_and_one_host_pass(void **state) {
    int64_t length = -1;
    assert_true(headers_pass((struct guard_header[]){header("host", "a"), header("content-length", "42")}, 2, &length));
    assert_int_equal(length, 42);
    assert_true(headers_pass((struct guard_header[]){header("Host", "[::1]:80")}, 1, &length));
    assert_int_equal(length, 0);
}

static void lengths_that_disagree_or_lie_are_refused(void **state) {
    int64_t length;
    struct guard_header twice[] = {header("Host", "a"), header("Content-Length", "1"), header("content-length", "1")};
    assert_false(headers_pass(twice, 3, &length));
    struct guard_header both[] = {header("Host", "a"), header("Content-Length", "1"),
                                  header("Transfer-Encoding", "chunked")};
    assert_false(headers_pass(both, 3, &length));
    assert_false(header_passes("Transfer-Encoding", "identity"));
    static const char *const bad[] = {"", "-1", "+1", "0x10", "1,1", "1 1", "1234567890123456789"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(header_passes("Content-Length", bad[i]));
}

static void a_host_is_needed_exactly_once(void **state) {
    int64_t length;
    assert_false(headers_pass(NULL, 0, &length));
    assert_false(headers_pass((struct guard_header[]){header("Host", "")}, 1, &length));
    assert_false(header_passes("Host", "other"));
    assert_false(header_passes("Host", ""));
    assert_false(headers_pass((struct guard_header[]){header("Host", "a, b")}, 1, &length));
    assert_false(headers_pass((struct guard_header[]){header("Host", "user@a")}, 1, &length));
}

static void malformed_headers_are_refused(void **state) {
    assert_false(header_passes("Content-Length ", "1"));
    assert_false(header_passes("X-\x01", "1"));
    assert_false(header_passes("", "1"));
    assert_false(header_passes("X-A", "a\rb"));
    assert_false(header_passes("X-A", "a\nb"));
    assert_true(header_passes("X-A", "a\tb \xc3\xa4"));
    int64_t length;
    struct guard_header hidden = {"X-A", "a\0b", 3, 3};
    assert_false(headers_pass((struct guard_header[]){header("Host", "a"), hidden}, 2, &length));
    struct guard_header keys[] = {header("Host", "a"), header("Authorization", "x"), header("Authorization", "y")};
    assert_false(headers_pass(keys, 3, &length));
}

static void many_or_large_headers_are_refused(void **state) {
    struct guard_header many[GUARD_HEADERS_MAX + 1];
    int64_t length;
    many[0] = header("Host", "a");
    for (size_t i = 1; i < ARRAY_LENGTH(many); i++)
        many[i] = header("X-A", "b");
    assert_true(headers_pass(many, GUARD_HEADERS_MAX, &length));
    assert_false(headers_pass(many, GUARD_HEADERS_MAX + 1, &length));
    _cleanup_free_ char *large = xcalloc(GUARD_HEADER_BYTES_MAX + 1, 1);
    memset(large, 'a', GUARD_HEADER_BYTES_MAX);
    assert_false(header_passes("X-A", large));
}

static bool line_passes(const char *method, const char *target, const char *version) {
    struct error err;
    return guard_line(method, target, version, &err);
}

static void request_lines(void **state) {
    assert_true(line_passes("GET", "/", "HTTP/1.1"));
    assert_true(line_passes("DELETE", "/v1", "HTTP/1.0"));
    assert_false(line_passes("GET", "/", "HTTP/2.0"));
    assert_false(line_passes("GET", "/", ""));
    assert_false(line_passes("GET", "http://a/", "HTTP/1.1"));
    assert_false(line_passes("OPTIONS", "*", "HTTP/1.1"));
    assert_false(line_passes("", "/", "HTTP/1.1"));
    assert_false(line_passes("G(T", "/", "HTTP/1.1"));
    assert_false(line_passes("AVERYLONGMETHODNAME", "/", "HTTP/1.1"));
    _cleanup_free_ char *target = xcalloc(GUARD_TARGET_MAX + 2, 1);
    memset(target, '/', GUARD_TARGET_MAX);
    assert_true(line_passes("GET", target, "HTTP/1.1"));
    target[GUARD_TARGET_MAX] = 'a';
    assert_false(line_passes("GET", target, "HTTP/1.1"));
}

static void paths_are_decoded_once(void **state) {
    static const char *const pairs[][3] = {
        {"/", "/", ""},
        {"/v1/jobs/a%2Fplan?x=1&y=%20", "/v1/jobs/a/plan", "x=1&y=%20"},
        {"/%2541", "/%41", ""},
        {"/a+b", "/a+b", ""},
        {"/%C3%A4?", "/\xc3\xa4", ""},
        {"/a/..b/c.", "/a/..b/c.", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        _cleanup_free_ char *path = NULL, *query = NULL;
        struct error err;
        assert_true(guard_target(pairs[i][0], &path, &query, &err));
        assert_string_equal(path, pairs[i][1]);
        assert_string_equal(query, pairs[i][2]);
    }
}

static void bad_paths_are_refused(void **state) {
    static const char *const bad[] = {"/%",      "/%4",       "/%zz",         "/a%00b",  "/a%0ab",     "/../a",
                                      "/a/..",   "/a/./b",    "/%2e%2e/a",    "/a//b",   "/a/",        "//",
                                      "/a\\b",   "/a%5cb",    "/%ff",         "/%c0%af", "/%ed%a0%80", "/\x7f",
                                      "/a%2F..", "/a%2f%2fb", "/%f5%80%80%80"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char *path = NULL, *query = NULL;
        struct error err = {0};
        if (guard_target(bad[i], &path, &query, &err))
            fail_msg("%s passed", bad[i]);
        assert_int_equal(err.code, ERR_API_BAD_REQUEST);
        assert_null(path);
        assert_null(query);
    }
}

/* `count` times `text`; caller frees. */
static char *repeat(const char *text, int count) {
    size_t length = strlen(text);
    char *out = calloc(1, length * (size_t)count + 1);
    for (int i = 0; i < count; i++)
        memcpy(out + (size_t)i * length, text, length);
    return out;
}

enum { VALUES = 5000 }; /* that are taken */

static bool json_passes(char *text, struct error *err) {
    bool passes = guard_json(text, strlen(text), VALUES, err);
    free(text);
    return passes;
}

static void json_bodies(void **state) {
    struct error err;
    assert_ok(guard_json("", 0, VALUES, &err), err);
    assert_ok(json_passes(repeat("[", GUARD_JSON_DEPTH_MAX), &err), err);
    assert_error(json_passes(repeat("{\"a\":", GUARD_JSON_DEPTH_MAX + 1), &err), ERR_API_BAD_REQUEST, "16 levels", err);
    assert_ok(json_passes(repeat("1,", VALUES - 1), &err), err);
    assert_error(json_passes(repeat("1,", VALUES), &err), ERR_API_BAD_REQUEST, "about 5001 values; at most 5000", err);
    assert_code(json_passes(repeat("[],", VALUES / 2), &err), ERR_API_BAD_REQUEST, err);
    /* What is in a string is text. */
    assert_ok(json_passes(repeat("\"\\\"[[[[,,,,\\\\\"", 4000), &err), err);
    assert_ok(guard_json("\"\\", 2, VALUES, &err), err);
}

static void known_parameters(void **state) {
    struct error err;
    assert_ok(guard_query("", NULL, &err), err);
    assert_ok(guard_query("&limit=1&&cursor&", "cursor limit", &err), err);
    assert_error(guard_query("limit=1&page=2", "cursor limit", &err), ERR_API_BAD_REQUEST, "\"page\"", err);
    static const char *const unknown[] = {"lim=1", "limits=1", "=1", "cursor limit=1", "%6Cimit=1"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_code(guard_query(unknown[i], "cursor limit", &err), ERR_API_BAD_REQUEST, err);
    assert_code(guard_query("limit=1", NULL, &err), ERR_API_BAD_REQUEST, err);
}

static void parameters(void **state) {
    struct error err;
    _cleanup_free_ char *plain = NULL, *decoded = NULL, *empty = NULL, *flag = NULL, *missing = NULL, *bad = NULL;
    const char *query = "limit=10&cursor=a%26b+c&e=&flag&&limits=3&bad=%0";
    assert_true(guard_parameter(query, "limit", &plain, &err));
    assert_string_equal(plain, "10");
    assert_true(guard_parameter(query, "cursor", &decoded, &err));
    assert_string_equal(decoded, "a&b c");
    assert_true(guard_parameter(query, "e", &empty, &err));
    assert_string_equal(empty, "");
    assert_true(guard_parameter(query, "flag", &flag, &err));
    assert_string_equal(flag, "");
    assert_true(guard_parameter(query, "lim", &missing, &err));
    assert_null(missing);
    assert_false(guard_parameter(query, "bad", &bad, &err));
    assert_null(bad);
    assert_false(guard_parameter("a=1&a=2", "a", &bad, &err));
    assert_null(bad);
}

static void assert_range(const char *text, int64_t size, enum range_kind kind, int64_t first, int64_t length) {
    int64_t got_first, got_length;
    assert_int_equal(range_parse(text, size, &got_first, &got_length), kind);
    if (kind != RANGE_OUTSIDE) {
        assert_int_equal(got_first, first);
        assert_int_equal(got_length, length);
    }
}

static void ranges(void **state) {
    assert_range(NULL, 100, RANGE_WHOLE, 0, 100);
    assert_range("bytes=0-", 100, RANGE_PART, 0, 100);
    assert_range("bytes=0-0", 100, RANGE_PART, 0, 1);
    assert_range("bytes=10-19", 100, RANGE_PART, 10, 10);
    assert_range("bytes=90-1000", 100, RANGE_PART, 90, 10);
    assert_range("bytes=90-99999999999999999999999", 100, RANGE_PART, 90, 10);
    assert_range("bytes=-30", 100, RANGE_PART, 70, 30);
    assert_range("bytes=-300", 100, RANGE_PART, 0, 100);
    assert_range("bytes=100-", 100, RANGE_OUTSIDE, 0, 0);
    assert_range("bytes=99999999999999999999-", 100, RANGE_OUTSIDE, 0, 0);
    assert_range("bytes=-0", 100, RANGE_OUTSIDE, 0, 0);
    assert_range("bytes=0-", 0, RANGE_OUTSIDE, 0, 0);
    static const char *const ignored[] = {"bytes=",    "bytes=-", "bytes=5-4", "bytes=1-2,4-5", "lines=1-2",
                                          "bytes=a-b", "bytes=1", "bytes=1-x", "bytes= 1-2",    "bytes=--1"};
    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
        assert_range(ignored[i], 100, RANGE_WHOLE, 0, 100);
}

int main(void) {
    process_begin();
    http_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_length_and_one_host_pass),
        cmocka_unit_test(lengths_that_disagree_or_lie_are_refused),
        cmocka_unit_test(a_host_is_needed_exactly_once),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(many_or_large_headers_are_refused),
        cmocka_unit_test(request_lines),
        cmocka_unit_test(paths_are_decoded_once),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(json_bodies),
        cmocka_unit_test(known_parameters),
        cmocka_unit_test(parameters),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
