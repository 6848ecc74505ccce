/* When a worker stops claiming by its own fault, and when it tries again. */
#include "test.h"

#include "worker/illness.h"

static void note(struct illness *illness, int64_t now_ms) {
    struct error full;
    error_set(&full, ERR_DISK_FULL, "no space is left");
    illness_note(illness, "w", "film", &full, now_ms);
}

static void three_faults_in_a_row_make_it_ill(void **state) {
    struct illness illness = {0};
    note(&illness, 0);
    note(&illness, 0);
    assert_true(illness_allows(&illness, 1, 0));
    note(&illness, 0);
    assert_true(illness.ill);
    assert_int_equal(illness.why.code, ERR_DISK_FULL);
    assert_false(illness_allows(&illness, 0, 1));
}

static void one_campaign_that_asks_for_the_impossible_makes_nobody_ill(void **state) {
    struct illness illness = {0};
    struct error missing;
    error_set(&missing, ERR_MODEL_NOT_FOUND, "the zoo has no model nowhere");
    for (int i = 0; i < 10; i++)
        illness_note(&illness, "w", "film", &missing, 0);
    assert_false(illness.ill);
    illness_note(&illness, "w", "other", &missing, 0);
    illness_note(&illness, "w", "third", &missing, 0);
    assert_true(illness.ill);
}

static void a_good_job_in_between_begins_anew(void **state) {
    struct illness illness = {0};
    note(&illness, 0);
    note(&illness, 0);
    illness_end(&illness, "w");
    note(&illness, 0);
    note(&illness, 0);
    assert_false(illness.ill);
}

static void after_a_pause_it_tries_one_job(void **state) {
    struct illness illness = {0};
    for (int i = 0; i < 3; i++)
        note(&illness, 0);
    int64_t again = illness.again_ms;
    assert_false(illness_allows(&illness, 0, again - 1));
    assert_true(illness_allows(&illness, 0, again));
    assert_false(illness_allows(&illness, 1, again)); /* the one runs */
    illness_end(&illness, "w");
    assert_true(illness_allows(&illness, 5, again));
}

static void the_pause_grows_up_to_a_limit(void **state) {
    struct illness illness = {0};
    for (int i = 0; i < 3; i++)
        note(&illness, 0);
    int64_t pause = illness.pause_ms;
    assert_true(illness_allows(&illness, 0, illness.again_ms));
    note(&illness, illness.again_ms);
    assert_int_equal(illness.pause_ms, 2 * pause);
    assert_false(illness_allows(&illness, 0, illness.again_ms - 1));
    for (int i = 0; i < 30; i++)
        note(&illness, 0);
    assert_int_equal(illness.pause_ms, 600000);
}

static void what_made_it_ill_may_be_over(void **state) {
    struct illness illness = {0};
    illness_try(&illness);
    assert_true(illness_allows(&illness, 1, 0));
    for (int i = 0; i < 3; i++)
        note(&illness, 0);
    illness_try(&illness);
    assert_true(illness_allows(&illness, 0, 0));
    assert_false(illness_allows(&illness, 1, 0));
    note(&illness, 0);
    assert_false(illness_allows(&illness, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_faults_in_a_row_make_it_ill),
        cmocka_unit_test(one_campaign_that_asks_for_the_impossible_makes_nobody_ill),
        cmocka_unit_test(a_good_job_in_between_begins_anew),
        cmocka_unit_test(after_a_pause_it_tries_one_job),
        cmocka_unit_test(the_pause_grows_up_to_a_limit),
        cmocka_unit_test(what_made_it_ill_may_be_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
