#include "test.h"

#include "scale/rule.h"

static int desired(int64_t ready, int64_t leased, int64_t delayed, int cap) {
    return scale_desired(&(struct scale_demand){ready, leased, delayed}, cap);
}

static void table_from_0_to_200(void **state) {
    for (int jobs = 0; jobs <= 200; jobs++) {
        int expected;
        if (jobs == 0)
            expected = 0;
        else if (jobs <= 5)
            expected = 2;
        else if (jobs <= 20)
            expected = jobs % 3 == 0 ? jobs / 3 : jobs / 3 + 1;
        else
            expected = jobs % 2 == 0 ? jobs / 2 : jobs / 2 + 1;
        assert_int_equal(desired(jobs, 0, 0, 1000), expected);
        assert_int_equal(desired(jobs, 0, 0, SCALE_CAP), expected > 20 ? 20 : expected);
    }
}

static void known_points(void **state) {
    assert_int_equal(desired(6, 0, 0, 20), 2);
    assert_int_equal(desired(7, 0, 0, 20), 3);
    assert_int_equal(desired(20, 0, 0, 20), 7);
    assert_int_equal(desired(21, 0, 0, 20), 11);
    assert_int_equal(desired(39, 0, 0, 20), 20);
}

static void leases_and_delayed_jobs_count(void **state) {
    assert_int_equal(desired(0, 1, 0, 20), 2);
    assert_int_equal(desired(0, 0, 1, 20), 2);
    assert_int_equal(desired(2, 2, 3, 20), 3);
}

static void never_more_than_the_cap(void **state) {
    assert_int_equal(desired(1, 0, 0, 1), 1);
    assert_int_equal(desired(INT64_MAX / 4, 0, 0, 20), 20);
    assert_int_equal(desired(5, 0, 0, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_from_0_to_200),
        cmocka_unit_test(known_points),
        cmocka_unit_test(leases_and_delayed_jobs_count),
        cmocka_unit_test(never_more_than_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
