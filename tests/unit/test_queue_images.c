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

/* ---- deaths ---- */

static void die(struct queue *queue, const char *id) {
    struct claim claim = claim_job(queue, "w", id);
    fail_with(queue, "w", &claim, ERR_MEDIA_EMPTY);
    assert_job_state(queue, id, "dead");
}

static void do_job(struct queue *queue, const char *id) {
    struct claim claim = claim_job(queue, "w", id);
    finish(queue, "w", &claim, "", 0);
}

static void retry(struct queue *queue, const char *id) {
    struct error err;
    assert_ok(queue_retry(queue, id, &err), err);
}

static size_t findings(struct queue *queue, bool repair) {
    struct error err;
    _cleanup_json_ json_t *found = queue_check(queue, repair, &err);
    assert_ok(found, err);
    return json_array_size(json_object_get(found, "findings"));
}

/* The audit finds nothing, and nothing is claimed or to be claimed. */
static void assert_at_rest(struct queue *queue) {
    assert_idle(queue);
    assert_int_equal(findings(queue, false), 0);
}

static void assert_ended(struct queue *queue, const char *campaign, const char *state) {
    assert_string_equal(campaign_state(queue, campaign), state);
    assert_at_rest(queue);
}

static void test_a_dead_picture_costs_itself_only(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "film", "a", 3, true);
    die(queue, "film/image/0000");
    do_job(queue, "film/image/0001");
    assert_job_state(queue, "film/sheet", "waiting");
    do_job(queue, "film/image/0002");
    do_job(queue, "film/sheet");
    assert_ended(queue, "film", "partial");
}

/* The death is the last event that the sheet waits for. */
static void test_a_last_death_makes_the_sheet_ready(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "film", "a", 2, true);
    do_job(queue, "film/image/0000");
    die(queue, "film/image/0001");
    assert_job_state(queue, "film/sheet", "ready");
    assert_string_equal(campaign_state(queue, "film"), "running");
    do_job(queue, "film/sheet");
    assert_string_equal(campaign_state(queue, "film"), "partial");
}

static void test_dead_pictures_without_a_sheet(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "some", "a", 2, false);
    die(queue, "some/image/0000");
    do_job(queue, "some/image/0001");
    assert_string_equal(campaign_state(queue, "some"), "partial");
    submit_images(queue, "all", "a", 2, false);
    die(queue, "all/image/0000");
    die(queue, "all/image/0001");
    assert_ended(queue, "all", "failed");
}

static void test_all_pictures_dead_is_a_failure_and_no_sheet(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "film", "a", 2, true);
    die(queue, "film/image/0000");
    die(queue, "film/image/0001");
    assert_job_state(queue, "film/sheet", "cancelled");
    assert_ended(queue, "film", "failed");
    /* Any of them can be retried, and the sheet comes back with it. */
    assert_true(job_number(queue, "film/sheet", "finished_ms") > 0);
    retry(queue, "film/image/0000");
    assert_job_state(queue, "film/sheet", "waiting");
    assert_int_equal(job_number(queue, "film/sheet", "finished_ms"), -1);
    assert_string_equal(campaign_state(queue, "film"), "running");
    do_job(queue, "film/image/0000");
    do_job(queue, "film/sheet");
    assert_string_equal(campaign_state(queue, "film"), "partial");
    retry(queue, "film/image/0001");
    do_job(queue, "film/image/0001");
    assert_ended(queue, "film", "done");
}

static void test_a_dead_sheet_leaves_the_pictures(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "film", "a", 2, true);
    do_job(queue, "film/image/0000");
    die(queue, "film/image/0001");
    die(queue, "film/sheet");
    assert_string_equal(campaign_state(queue, "film"), "partial");
    assert_job_state(queue, "film/image/0000", "done");
    /* A sheet that is revived beside a picture waits for it. */
    retry(queue, "film/image/0001");
    retry(queue, "film/sheet");
    assert_job_state(queue, "film/sheet", "waiting");
    do_job(queue, "film/image/0001");
    do_job(queue, "film/sheet");
    assert_ended(queue, "film", "done");
}

static void test_a_ready_sheet_waits_for_a_retried_picture(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "film", "a", 2, true);
    die(queue, "film/image/0000");
    do_job(queue, "film/image/0001");
    assert_job_state(queue, "film/sheet", "ready");
    retry(queue, "film/image/0000");
    assert_job_state(queue, "film/sheet", "waiting");
    do_job(queue, "film/image/0000");
    do_job(queue, "film/sheet");
    assert_ended(queue, "film", "done");
}

static void test_a_delayed_sheet_waits_for_a_retried_picture(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    set_first_retry(queue, 300000);
    submit_images(queue, "film", "a", 2, true);
    die(queue, "film/image/0000");
    do_job(queue, "film/image/0001");
    struct claim sheet = claim_job(queue, "w", "film/sheet");
    fail_with(queue, "w", &sheet, ERR_STORE_UNAVAILABLE);
    assert_job_state(queue, "film/sheet", "delayed");
    retry(queue, "film/image/0000");
    assert_job_state(queue, "film/sheet", "waiting");
    do_job(queue, "film/image/0000");
    do_job(queue, "film/sheet");
    assert_ended(queue, "film", "done");
}

/* It lacks the picture; but if it comes back it waits. */
static void test_a_sheet_at_work_goes_on_without_a_retried_picture(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_images(queue, "film", "a", 2, true);
    die(queue, "film/image/0000");
    do_job(queue, "film/image/0001");
    struct claim sheet = claim_job(queue, "w", "film/sheet");
    retry(queue, "film/image/0000");
    assert_job_state(queue, "film/sheet", "leased");
    assert_ok(queue_release(queue, "w", &sheet, &err), err);
    assert_job_state(queue, "film/sheet", "waiting");
    die(queue, "film/image/0000");
    sheet = claim_job(queue, "w", "film/sheet");
    retry(queue, "film/image/0000");
    finish(queue, "w", &sheet, "", 0);
    assert_string_equal(campaign_state(queue, "film"), "running");
    do_job(queue, "film/image/0000");
    assert_job_state(queue, "film/sheet", "done");
    assert_ended(queue, "film", "done");
}

static void test_cancelled_pictures_end_with_their_sheet(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_images(queue, "film", "a", 3, true);
    die(queue, "film/image/0000");
    assert_ok(queue_cancel(queue, "film", &err), err);
    assert_int_equal(jobs_in(queue, "film", "cancelled"), 3);
    assert_string_equal(campaign_state(queue, "film"), "cancelled");
    assert_code(queue_retry(queue, "film/image/0000", &err), ERR_QUEUE_STATE, err);
    assert_at_rest(queue);
}

static void test_the_audit_counts_what_a_sheet_waits_for(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_images(queue, "film", "a", 3, true);
    die(queue, "film/image/0000");
    do_job(queue, "film/image/0001");
    assert_int_equal(findings(queue, false), 0);
    freeReplyObject(redis_fixture_command(*state, "HINCRBY {mela}:job:film/sheet waits 5"));
    _cleanup_json_ json_t *found = queue_check(queue, true, &err);
    const json_t *finding = json_array_get(json_object_get(found, "findings"), 0);
    assert_string_equal(json_get_string(finding, "where", ""), "film/sheet");
    do_job(queue, "film/image/0002");
    do_job(queue, "film/sheet");
    assert_at_rest(queue);
}

/* ---- affinity lines ---- */

/* %s is the affinity of show/image/0000 and 0001. */
static const char *const wrongs[] = {
    "DEL {mela}:ready:image:batch:show:%s",
    "ZREM {mela}:ready:image:batch:show:%s image/0001",
    "ZREM {mela}:affinities:image:batch:show %s",
    "ZADD {mela}:ready:image:batch:show:%s 9 image/0002",
    "ZADD {mela}:ready:image:batch:show:%s 0 sheet",
    "ZADD {mela}:ready:image:batch:show:%.0snobody 0 image/0001",
    "ZADD {mela}:affinities:image:batch:show 0 %.0snobody",
    "ZADD {mela}:affinities:image:batch:%.0sghost 0 nobody",
    "ZREM {mela}:ready:image:batch:show image/0001 %.0s",
    "DEL {mela}:job:show/image/0001 %.0s",
};

/* On a farm with four pictures of two affinities. */
static struct queue *open_with_wrong(const struct redis_fixture *fixture, const char *wrong, char *affinity) {
    struct queue *queue = fixture_open_empty(fixture);
    submit_images(queue, "show", "a b", 2, false);
    snprintf(affinity, AFFINITY_MAX + 1, "%s", job_text(queue, "show/image/0000", "affinity"));
    _cleanup_free_ char *command = xasprintf(wrong, affinity);
    freeReplyObject(redis_fixture_command(fixture, command));
    return queue;
}

/* Claims whatever there is for a slot that holds one affinity; returns how many jobs that were. */
static int claim_all_holding(struct queue *queue, const char *affinity) {
    struct error err;
    struct claim claim;
    size_t count;
    const char *const holds[] = {affinity};
    struct claim_options options = all_pools("holder", 60000);
    options.holds = holds;
    options.hold_count = 1;
    for (int jobs = 0;; jobs++) {
        assert_ok(queue_claim(queue, &options, &claim, 1, &count, &err), err);
        if (count == 0)
            return jobs;
        finish(queue, "holder", &claim, "", 0);
    }
}

static void test_every_wrong_of_affinities_is_put_right(void **state) {
    char affinity[AFFINITY_MAX + 1];
    for (size_t i = 0; i < ARRAY_LENGTH(wrongs); i++) {
        _cleanup_queue_ struct queue *queue = open_with_wrong(*state, wrongs[i], affinity);
        if (findings(queue, false) == 0)
            fail_msg("not found: %s", wrongs[i]);
        assert_true(findings(queue, true) > 0);
        if (findings(queue, false) > 0)
            fail_msg("not put right: %s", wrongs[i]);
        assert_true(claim_all_holding(queue, affinity) >= 3);
        assert_string_equal(campaign_state(queue, "show"), "done");
        assert_int_equal(findings(queue, false), 0);
    }
}

/* How many commands the server has carried out, those of scripts included. */
static long long commands(const struct redis_fixture *fixture) {
    redisReply *reply = redis_fixture_command(fixture, "INFO commandstats");
    long long sum = 0;
    for (const char *at = reply->str; (at = strstr(at, "calls=")); at++)
        if (strncmp(at - 1, ":", 1) == 0) /* not rejected_calls */
            sum += strtoll(at + strlen("calls="), NULL, 10);
    freeReplyObject(reply);
    return sum;
}

/* Of a campaign of dubs, for a slot that holds this, or of which nobody knows. */
static long long commands_of_a_claim(struct queue *queue, const struct redis_fixture *fixture, const char *holds) {
    struct error err;
    struct claim claim;
    size_t count;
    struct claim_options options = all_pools("w", 60000);
    options.holds = holds ? &holds : NULL;
    options.hold_count = holds != NULL;
    long long before = commands(fixture);
    assert_ok(queue_claim(queue, &options, &claim, 1, &count, &err), err);
    long long after = commands(fixture);
    assert_int_equal(count, 1);
    return after - before;
}

static void test_a_job_without_affinity_costs_no_call_more(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 12);
    for (int i = 0; i < 4; i++)
        claim_one(queue, "w"); /* the scripts are loaded, the pools' turn is where it was, and jobs are left */
    long long without = 0, with = 0;
    for (int i = 0; i < POOL_COUNT; i++)
        without += commands_of_a_claim(queue, *state, NULL);
    for (int i = 0; i < POOL_COUNT; i++)
        with += commands_of_a_claim(queue, *state, "0123456789abcdef");
    assert_int_equal(with, without);
}

/* A Redis that lost data may have a line with a job that another worker has. */
static void test_a_line_without_its_job_gives_nobody_the_job(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_images(queue, "show", "a b", 1, false);
    _cleanup_free_ char *affinity = xstrdup(job_text(queue, "show/image/0000", "affinity"));
    struct claim held = claim_job(queue, "w", "show/image/0000");
    _cleanup_free_ char *command = xasprintf("ZADD {mela}:ready:image:batch:show:%s 0 image/0000", affinity);
    freeReplyObject(redis_fixture_command(*state, command));
    assert_int_equal(claim_all_holding(queue, affinity), 1);
    finish(queue, "w", &held, "", 0);
    assert_string_equal(campaign_state(queue, "show"), "done");
}

static void test_a_wrong_of_affinities_stops_nobody(void **state) {
    char affinity[AFFINITY_MAX + 1];
    for (size_t i = 0; i < ARRAY_LENGTH(wrongs); i++) {
        _cleanup_queue_ struct queue *queue = open_with_wrong(*state, wrongs[i], affinity);
        assert_in_range(claim_all_holding(queue, affinity) + claim_all_holding(queue, "nobody"), 3, 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pictures_are_ready_and_the_sheet_waits),
        cmocka_unit_test(test_pictures_without_a_sheet),
        cmocka_unit_test(test_submitting_pictures_again_changes_nothing),
        cmocka_unit_test(test_ten_thousand_pictures_are_one_script),
        cmocka_unit_test(test_a_campaign_of_an_older_release_is_of_dubs),
        cmocka_unit_test(test_a_dead_picture_costs_itself_only),
        cmocka_unit_test(test_a_last_death_makes_the_sheet_ready),
        cmocka_unit_test(test_dead_pictures_without_a_sheet),
        cmocka_unit_test(test_all_pictures_dead_is_a_failure_and_no_sheet),
        cmocka_unit_test(test_a_dead_sheet_leaves_the_pictures),
        cmocka_unit_test(test_a_ready_sheet_waits_for_a_retried_picture),
        cmocka_unit_test(test_a_delayed_sheet_waits_for_a_retried_picture),
        cmocka_unit_test(test_a_sheet_at_work_goes_on_without_a_retried_picture),
        cmocka_unit_test(test_cancelled_pictures_end_with_their_sheet),
        cmocka_unit_test(test_the_audit_counts_what_a_sheet_waits_for),
        cmocka_unit_test(test_every_wrong_of_affinities_is_put_right),
        cmocka_unit_test(test_a_job_without_affinity_costs_no_call_more),
        cmocka_unit_test(test_a_line_without_its_job_gives_nobody_the_job),
        cmocka_unit_test(test_a_wrong_of_affinities_stops_nobody),
    };
    process_begin();
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
