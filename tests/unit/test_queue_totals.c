/* What a farm remembers of what it did, and what it is like now. */
#include "base/process.h"
#include "queue_fixture.h"

/* A member of the totals, or of an object in them. */
static int64_t total(struct queue *queue, const char *name, const char *inner) {
    struct error err;
    _cleanup_json_ json_t *totals = queue_totals(queue, &err);
    assert_ok(totals, err);
    return inner ? json_get_integer(json_object_get(totals, name), inner, 0) : json_get_integer(totals, name, 0);
}

static json_t *overview(struct queue *queue, int most) {
    struct error err;
    json_t *json = queue_overview(queue, most, &err);
    assert_ok(json, err);
    return json;
}

static void finish_with(struct queue *queue, const struct claim *claim, json_t *report) {
    struct error err;
    _cleanup_json_ json_t *owned = report;
    struct job_result result = {.artifact = "", .report = owned};
    assert_ok(queue_finish(queue, "w1", claim, &result, &err), err);
}

static void test_what_a_report_says_is_added_up_by_kind(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 2);
    for (int i = 0; i < 2; i++) {
        struct claim claim = claim_one(queue, "w1");
        finish_with(queue, &claim, json_pack("{s:i, s:i, s:i}", "frames", 5, "duration_ms", 1500, "gpu_ms", 700));
        finish_with(queue, &claim, json_pack("{s:i, s:i}", "duration_ms", 1500, "gpu_ms", 700)); /* a repeated finish */
    }
    assert_int_equal(total(queue, "job_ms", "dub"), 3000);
    assert_int_equal(total(queue, "gpu_ms", "dub"), 1400);
    assert_int_equal(total(queue, "jobs_done", "dub"), 2);
    struct claim claim = claim_one(queue, "w1");
    finish_with(queue, &claim, json_pack("{s:f, s:i, s:s}", "duration_ms", -4.0, "gpu_ms", 0, "frames", "many"));
    assert_int_equal(total(queue, "job_ms", "plan"), 0);
    assert_int_equal(total(queue, "gpu_ms", "track"), 0);
}

static void test_errors_deaths_and_crashes_are_counted_apart(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    assert_code(queue_fail(queue, "w1", &claim, &(struct error){.code = ERR_STORE_UNAVAILABLE}, &err), ERR_QUEUE_STALE,
                err);
    assert_int_equal(total(queue, "job_errors", "plan"), 1);
    assert_int_equal(total(queue, "jobs_failed", "plan"), 0);
    claim = claim_later(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_DISK_FULL);
    assert_int_equal(total(queue, "job_refusals", "plan"), 1);
    assert_int_equal(total(queue, "job_errors", "plan"), 1);
    for (int i = 0; i < 2000 && !claim_for(queue, "w1", 1, &claim); i++)
        clock_sleep_ms(clock_system(), 5);
    claim = claim_later(queue, "w2"); /* the lease of a millisecond ran out */
    assert_int_equal(total(queue, "job_crashes", NULL), 1);
    assert_ok(queue_crash(queue, "w2", &claim, "signal 9", &err), err);
    assert_int_equal(total(queue, "job_crashes", NULL), 2);
    claim = claim_one(queue, "w2");
    assert_ok(queue_release(queue, "w2", &claim, &err), err);
    claim = claim_one(queue, "w2");
    fail_with(queue, "w2", &claim, ERR_MEDIA_CORRUPT); /* for good */
    assert_int_equal(total(queue, "job_errors", "plan"), 2);
    assert_int_equal(total(queue, "jobs_failed", "plan"), 1);
    assert_int_equal(total(queue, "job_crashes", NULL), 2);
}

static void test_a_sweep_counts_crashes_too(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct claim claim;
    bool more;
    submit(queue, "film", CLASS_BATCH, "hi");
    assert_true(claim_for(queue, "w1", 1, &claim));
    for (int i = 0; i < 2000 && total(queue, "job_crashes", NULL) == 0; i++) {
        assert_ok(queue_sweep(queue, QUEUE_KEEP_FINISHED_MS, &more, &err), err);
        clock_sleep_ms(clock_system(), 1);
    }
    assert_int_equal(total(queue, "job_crashes", NULL), 1);
}

static void test_campaigns_are_counted_by_their_end(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "good", CLASS_BATCH, "hi");
    drain(queue, "hi", 1);
    submit(queue, "gone", CLASS_BATCH, "hi");
    assert_ok(queue_cancel(queue, "gone", &err), err);
    assert_ok(queue_cancel(queue, "gone", &err), err);
    submit(queue, "bad", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_MEDIA_CORRUPT);
    submit_to_dubs(queue, "half", CLASS_BATCH, "hi ta", 1);
    claim = claim_job(queue, "w1", "half/hi/dub/0000");
    fail_with(queue, "w1", &claim, ERR_MEDIA_CORRUPT);
    drain(queue, "hi ta", 1);
    static const char *const states[] = {"done", "cancelled", "failed", "partial"};
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        assert_int_equal(total(queue, "campaigns_ended", states[i]), 1);
    assert_ok(queue_retry(queue, "half/hi/dub/0000", &err), err);
    drain(queue, "hi ta", 1);
    assert_int_equal(total(queue, "campaigns_ended", "done"), 2); /* it ended again */
}

static void test_the_overview_shows_the_newest_open_campaigns(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    static const char *const ids[] = {"first", "second", "third", "fourth"};
    struct error err;
    _cleanup_json_ json_t *empty = overview(queue, 50);
    assert_int_equal(json_get_integer(empty, "open", -1), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        submit(queue, ids[i], CLASS_BATCH, "hi");
        clock_sleep_ms(clock_system(), 2); /* so that each has a time of its own */
    }
    struct claim claim = claim_job(queue, "w1", "first/plan");
    fail_with(queue, "w1", &claim, ERR_MEDIA_CORRUPT);
    assert_ok(queue_cancel(queue, "third", &err), err);
    claim_job(queue, "w1", "fourth/plan");
    _cleanup_json_ json_t *now = overview(queue, 50), *one = overview(queue, 1);
    assert_int_equal(json_get_integer(now, "dead", 0), 1);
    assert_int_equal(json_get_integer(now, "open", 0), 2);
    assert_int_equal(json_get_integer(one, "open", 0), 2);
    const json_t *list = json_object_get(now, "campaigns"), *newest = json_object_get(one, "campaigns");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_array_size(newest), 1);
    assert_string_equal(json_get_string(json_array_get(newest, 0), "id", ""), "fourth");
    assert_string_equal(json_get_string(json_array_get(list, 1), "id", ""), "second");
    assert_string_equal(json_get_string(json_array_get(list, 1), "name", ""), "A name");
    const json_t *jobs = json_object_get(json_array_get(list, 0), "jobs");
    assert_int_equal(json_get_integer(jobs, "leased", -1), 1);
    assert_int_equal(json_get_integer(jobs, "ready", -1), 0);
    assert_int_equal(json_get_integer(jobs, "done", -1), 0);
}

static void test_the_overview_looks_behind_campaigns_that_ended_and_past_a_sweep(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "old", CLASS_BATCH, "hi");
    freeReplyObject(
        redis_fixture_command(*state, "EVAL %s 0",
                              "for i = 1, 450 do redis.call('ZADD', '{mela}:campaigns', 9e12 + i, 'e' .. i) "
                              "redis.call('ZADD', '{mela}:finished', 9e12 + i, 'e' .. i) end"));
    _cleanup_json_ json_t *now = overview(queue, 50);
    assert_int_equal(json_get_integer(now, "open", 0), 1);
    const json_t *list = json_object_get(now, "campaigns");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_get_string(json_array_get(list, 0), "id", ""), "old");
    /* The sweep has begun with the oldest that ended. */
    freeReplyObject(redis_fixture_command(*state, "ZREM {mela}:campaigns e1"));
    _cleanup_json_ json_t *swept = overview(queue, 50);
    assert_int_equal(json_get_integer(swept, "open", 0), 1);
}

static void test_redis_tells_of_itself(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct redis_state before, after;
    assert_ok(queue_redis_state(queue, &before, &err), err);
    assert_int_equal(before.memory_limit_bytes, 0);
    assert_true(before.memory_bytes > 100000 && before.clients >= 1 && before.persists);
    freeReplyObject(redis_fixture_command(*state, "CONFIG SET maxmemory 300mb"));
    assert_ok(queue_redis_state(queue, &after, &err), err);
    assert_int_equal(after.memory_limit_bytes, 300LL << 20);
    assert_true(after.commands > before.commands);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_report_says_is_added_up_by_kind),
        cmocka_unit_test(test_errors_deaths_and_crashes_are_counted_apart),
        cmocka_unit_test(test_a_sweep_counts_crashes_too),
        cmocka_unit_test(test_campaigns_are_counted_by_their_end),
        cmocka_unit_test(test_the_overview_shows_the_newest_open_campaigns),
        cmocka_unit_test(test_the_overview_looks_behind_campaigns_that_ended_and_past_a_sweep),
        cmocka_unit_test(test_redis_tells_of_itself),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
