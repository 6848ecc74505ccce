#include "test.h"

#include <math.h>

#include "farm/limits.h"

static void test_a_limit_itself_is_allowed(void **state) {
    struct error err;
    for (int limit = 0; limit < LIMIT_COUNT; limit++) {
        double most = (double)limit_most((enum limit)limit);
        assert_ok(limit_check((enum limit)limit, most, "it", &err), err);
        assert_ok(limit_check((enum limit)limit, -1, "it", &err), err);
    }
}

static void test_an_error_names_the_limit_and_the_value(void **state) {
    struct error err;
    assert_error(limit_check(LIMIT_PIXELS, 16384.0 * 16384, "film.mp4", &err), ERR_MEDIA_LIMIT,
                 "film.mp4 has 268435456 pixels a picture; the limit is 35651584: scale it down", err);
    assert_error(limit_check(LIMIT_SECONDS, 86400.5, "film.mp4", &err), ERR_MEDIA_LIMIT, "has 86400.5 seconds; ", err);
    assert_error(limit_check(LIMIT_OUTPUTS, 200001, "the campaign", &err), ERR_CAMPAIGN_LIMIT, "200001", err);
    assert_code(limit_check(LIMIT_FRAME_RATE, NAN, "film.mp4", &err), ERR_MEDIA_LIMIT, err);
}

static void test_what_is_refused_is_the_inputs_fault(void **state) {
    assert_int_equal(error_fault(ERR_MEDIA_LIMIT), FAULT_INPUT);
    assert_int_equal(error_fault(ERR_CAMPAIGN_LIMIT), FAULT_INPUT);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_limit_itself_is_allowed),
        cmocka_unit_test(test_an_error_names_the_limit_and_the_value),
        cmocka_unit_test(test_what_is_refused_is_the_inputs_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
