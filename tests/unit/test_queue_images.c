/* Campaigns of pictures: how they begin, and deaths that end nothing else. */
#include "base/process.h"
#include "queue/check.h"
#include "queue_fixture.h"

static json_t *campaign_of(struct queue *queue, const char *id) {
    struct error err;
    json_t *campaign = queue_campaign(queue, id, &err);
    assert_ok(campaign, err);
    return campaign;
}

static int64_t jobs_in(struct queue *queue, const char *id, const char *state) {
    _cleanup_json_ json_t *campaign = campaign_of(queue, id);
    return json_get_integer(json_object_get(campaign, "jobs"), state, -1);
}

/* ---- submitting ---- */

static void test_all_pictures_are_ready_and_the_sheet_waits(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    assert_true(submit_images(queue, "film", "a b", 2, true));
    _cleanup_json_ json_t *campaign = campaign_of(queue, "film");
    assert_string_equal(json_get_string(campaign, "workload", ""), "images");
    assert_int_equal(json_array_size(json_object_get(campaign, "languages")), 0);
    assert_int_equal(jobs_in(queue, "film", "ready"), 4);
    assert_job_state(queue, "film/image/0003", "ready");
    assert_job_state(queue, "film/sheet", "waiting");
    _cleanup_free_ char *first = xstrdup(job_text(queue, "film/image/0000", "affinity"));
    assert_int_equal(strlen(first), AFFINITY_MAX);
    assert_string_equal(job_text(queue, "film/image/0001", "affinity"), first);
    assert_string_not_equal(job_text(queue, "film/image/0002", "affinity"), first);
    assert_string_equal(job_text(queue, "film/sheet", "affinity"), "(none)");
    for (int i = 0; i < 4; i++)
        assert_int_equal(claim_one(queue, "w").job.index, i);
}

static void test_pictures_without_a_sheet(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    assert_true(submit_images(queue, "film", "a", 2, false));
    struct error err;
    _cleanup_json_ json_t *jobs = queue_jobs(queue, "film", NULL, 10, &err);
    assert_int_equal(json_array_size(json_object_get(jobs, "items")), 2);
    assert_int_equal(drain(queue, "", 0), 2);
    assert_string_equal(campaign_state(queue, "film"), "done");
}

static void test_submitting_pictures_again_changes_nothing(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    assert_true(submit_images(queue, "film", "a", 3, true));
    struct claim claim = claim_one(queue, "w");
    finish(queue, "w", &claim, "", 0);
    assert_false(submit_images(queue, "film", "a", 3, true));
    assert_int_equal(jobs_in(queue, "film", "done"), 1);
    assert_int_equal(jobs_in(queue, "film", "ready"), 2);
}

/* The most that a campaign may have: 10,000 pictures, here each a job of its own. */
static void test_ten_thousand_pictures_are_one_script(void **state) {
    enum { MANY = 10000 };
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    assert_true(submit_images(queue, "film", "a", MANY, true));
    assert_int_equal(jobs_in(queue, "film", "ready"), MANY);
    assert_int_equal(jobs_in(queue, "film", "waiting"), 1);
    assert_job_state(queue, "film/image/9999", "ready");
}

static void test_a_campaign_of_an_older_release_is_of_dubs(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    freeReplyObject(redis_fixture_command(*state, "HDEL {mela}:campaign:film workload"));
    _cleanup_json_ json_t *campaign = campaign_of(queue, "film");
    assert_string_equal(json_get_string(campaign, "workload", ""), "dubs");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pictures_are_ready_and_the_sheet_waits),
        cmocka_unit_test(test_pictures_without_a_sheet),
        cmocka_unit_test(test_submitting_pictures_again_changes_nothing),
        cmocka_unit_test(test_ten_thousand_pictures_are_one_script),
        cmocka_unit_test(test_a_campaign_of_an_older_release_is_of_dubs),
    };
    process_begin();
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
