/* The two forms that metrics leave this program in. */
#include "test.h"

#include <string.h>

#include "base/emf.h"
#include "base/exposition.h"

static void test_rows_and_labels(void **state) {
    _cleanup_buffer_ struct buffer out = {0};
    metric_one(&out, "mela_up", "gauge", "Is it?", 1);
    metric_row(&out, "mela_jobs", 12.5, "pool", "cpu", "name", "a \"b\" \\ c\n");
    metric_row(&out, "mela_bytes", 123456789012345.0, "pool", "");
    assert_string_equal(out.data, "# HELP mela_up Is it?\n# TYPE mela_up gauge\nmela_up 1\n"
                                  "mela_jobs{pool=\"cpu\",name=\"a \\\"b\\\" \\\\ c\\n\"} 12.5\n"
                                  "mela_bytes{pool=\"\"} 123456789012345\n");
}

static void test_a_process_shows_what_it_takes(void **state) {
    _cleanup_buffer_ struct buffer out = {0};
    metric_process(&out);
    const char *memory = strstr(out.data, "\nmela_process_resident_memory_bytes ");
    assert_non_null(memory);
    assert_true(strtod(strchr(memory, ' '), NULL) > 100000);
    assert_non_null(strstr(out.data, "\nmela_process_cpu_seconds_total "));
}

static void test_an_embedded_record(void **state) {
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_json_ json_t *record = emf_record("Mela", 1767225600000);
    emf_add_dimension(record, "Farm", "mela");
    emf_add_dimension(record, "Pool", "cpu");
    emf_add_metric(record, "QueueDepth", "Count", json_integer(7));
    _cleanup_free_ char *line = json_line(record);
    assert_string_equal(
        line, "{\"_aws\":{\"Timestamp\":1767225600000,\"CloudWatchMetrics\":[{\"Namespace\":\"Mela\","
              "\"Dimensions\":[[\"Farm\",\"Pool\"]],\"Metrics\":[{\"Name\":\"QueueDepth\",\"Unit\":\"Count\"}]}]},"
              "\"Farm\":\"mela\",\"Pool\":\"cpu\",\"QueueDepth\":7}");
}

static void test_namespaces(void **state) {
    struct error err;
    char long_one[257];
    memset(long_one, 'a', 256);
    long_one[256] = '\0';
    assert_true(emf_check_namespace("Studio/Mela-1.0_a#b:c", &err));
    assert_true(emf_check_namespace(long_one + 1, &err));
    const char *const bad[] = {"", ":Mela", "Me la", "Mela\n", "Mel\xc3\xa4", long_one};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        err.code = ERR_NONE;
        assert_false(emf_check_namespace(bad[i], &err));
        assert_int_equal(err.code, ERR_CONFIG_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_labels),
        cmocka_unit_test(test_a_process_shows_what_it_takes),
        cmocka_unit_test(test_an_embedded_record),
        cmocka_unit_test(test_namespaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
