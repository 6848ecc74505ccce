#include "test.h"

#include <string.h>

#include "keda/messages.h"
#include "scale/demand.h"
#include "scale/rule.h"

static struct pool_counts counts_of(int urgent, int batch, int batch_leased) {
    struct pool_counts counts = {0};
    counts.ready[CLASS_URGENT] = urgent;
    counts.ready[CLASS_BATCH] = batch - batch_leased;
    counts.leased[CLASS_BATCH] = batch_leased;
    return counts;
}

static void one_cap_holds_over_both_classes(void **state) {
    for (int urgent = 0; urgent <= 60; urgent++)
        for (int batch = 0; batch <= 60; batch++)
            for (int leased = 0; leased <= MIN(batch, 1); leased++) {
                struct pool_counts counts = counts_of(urgent, batch, leased);
                int first = demand_desired(&scale_rule_default, &counts, CLASS_URGENT),
                    rest = demand_desired(&scale_rule_default, &counts, CLASS_BATCH);
                assert_in_range(first + rest, 0, SCALE_CAP);
                assert_int_equal(first > 0, urgent > 0);
                assert_true(rest > 0 || !leased);
                assert_int_equal(demand_desired(&scale_rule_default, &counts, DEMAND_ALL) > 0, urgent + batch > 0);
            }
}

static void urgent_goes_first(void **state) {
    struct pool_counts counts = counts_of(40, 40, 0);
    assert_int_equal(demand_desired(&scale_rule_default, &counts, CLASS_URGENT), SCALE_CAP);
    assert_int_equal(demand_desired(&scale_rule_default, &counts, CLASS_BATCH), 0);
    counts = counts_of(40, 40, 3);
    assert_int_equal(demand_desired(&scale_rule_default, &counts, CLASS_URGENT), SCALE_CAP - 1);
    assert_int_equal(demand_desired(&scale_rule_default, &counts, CLASS_BATCH), 1);
}

static void assert_written(struct buffer *out, const char *bytes, size_t length) {
    assert_int_equal(out->length, length);
    assert_memory_equal(out->data, bytes, length);
    buffer_free(out);
}

/* The bytes that protobuf itself makes of the same messages. */
static void messages_are_protobuf(void **state) {
    struct buffer out = {0};
    message_write_active(&out, true);
    assert_written(&out, "\x08\x01", 2);
    message_write_spec(&out, "m", 1);
    assert_written(&out, "\x0a\x0e\x0a\x01m\x10\x01\x19\0\0\0\0\0\0\xf0\x3f", 16);
    message_write_value(&out, "m", 300);
    assert_written(&out, "\x0a\x0f\x0a\x01m\x10\xac\x02\x19\0\0\0\0\0\xc0\x72\x40", 17);
}

static void metadata_is_read_and_the_rest_skipped(void **state) {
    static const char request[] = "\x0a\x1f"
                                  "\x0a\x01n\x1a\x0b\x0a\x04pool\x12\x03"
                                  "cpu\x1a\x0d\x0a\x05"
                                  "class\x12\x04long"
                                  "\x12\x02mm\x20\x05\x2d\1\2\3\4\x31\1\2\3\4\5\6\7\x08";
    struct scaled_object object;
    char metric[MESSAGE_TEXT_MAX + 1];
    struct error err;
    assert_true(message_read_metrics_request(request, sizeof request - 1, &object, metric, &err));
    assert_string_equal(object.pool, "cpu");
    assert_string_equal(object.class, "long");
    assert_string_equal(object.farm, "");
    assert_string_equal(metric, "mm");
    assert_true(message_read_metrics_request("", 0, &object, metric, &err));
    for (size_t cut = 1; cut < 33; cut++)
        assert_false(message_read_metrics_request(request, cut, &object, metric, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_cap_holds_over_both_classes),
        cmocka_unit_test(urgent_goes_first),
        cmocka_unit_test(messages_are_protobuf),
        cmocka_unit_test(metadata_is_read_and_the_rest_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
