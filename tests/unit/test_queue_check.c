/* The audit: silent on a healthy farm, and every wrong that is put into Redis is found and put right. */
#include "queue_fixture.h"

#include "base/process.h"
#include "queue/check.h"

static size_t findings(struct queue *queue, bool repair) {
    struct error err;
    _cleanup_json_ json_t *result = queue_check(queue, repair, &err);
    assert_ok(result, err);
    return json_array_size(json_object_get(result, "findings"));
}

static void assert_sound(struct queue *queue) {
    struct error err;
    _cleanup_json_ json_t *result = queue_check(queue, false, &err);
    assert_ok(result, err);
    _cleanup_free_ char *text = json_line(json_object_get(result, "findings"));
    assert_string_equal(text, "[]");
}

static void test_a_healthy_farm_has_no_findings(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    assert_sound(queue);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi ta", 3);
    submit(queue, "other", CLASS_URGENT, "hi");
    struct claim claim = claim_one(queue, "w1");
    assert_sound(queue);
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    assert_sound(queue);
    claim = claim_later(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_MEDIA_EMPTY);
    assert_sound(queue);
    assert_ok(queue_cancel(queue, "film", &err), err);
    assert_ok(queue_hold(queue, POOL_CPU, CLASS_BATCH, HOLD_BY_HAND, INT64_MAX, &err), err);
    assert_sound(queue);
}

static void test_a_large_campaign_is_checked_in_pieces(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi ta", 1500);
    assert_sound(queue);
    freeReplyObject(redis_fixture_command(*state, "HINCRBY {mela}:campaign:film n:waiting 7"));
    assert_int_equal(findings(queue, true), 1);
    assert_sound(queue);
    _cleanup_json_ json_t *result = queue_check(queue, false, &err);
    assert_int_equal(json_get_integer(result, "jobs", 0), 1 + 1500 + 3000 + 2);
}

/* On a farm with a film whose tracks are done, one dub of which is leased, and a fresh campaign. */
static const char *const wrongs[] = {
    "DEL {mela}:ready:lipsync:batch:film",
    "ZREM {mela}:ready:lipsync:batch:film ta/dub/0001",
    "DEL {mela}:fair:lipsync:batch",
    "ZADD {mela}:fair:cpu:batch 0 film",
    "ZREM {mela}:leases film/hi/dub/0000",
    "ZADD {mela}:leases 1 film/track/0000",
    "ZADD {mela}:leases 1 ghost/plan",
    "ZADD {mela}:delayed:cpu:batch 1 film/plan",
    "HSET {mela}:job:film/hi/join waits 9",
    "HSET {mela}:job:film/hi/join waits 1",
    "HINCRBY {mela}:campaign:film n:waiting -1",
    "HINCRBY {mela}:campaign:film n:done 3",
    "HINCRBY {mela}:counts lipsync:batch:ready 2",
    "HSET {mela}:counts lipsync:batch:leased 0",
    "DEL {mela}:job:film/ta/dub/0002",
    "ZREM {mela}:campaigns film",
    "ZADD {mela}:campaigns 1 ghost",
    "ZADD {mela}:finished 1 film",
    "ZADD {mela}:dead 1 film/plan",
    "HSET {mela}:job:ghost/plan state ready lane cpu:batch seq 1",
    "HSET {mela}:campaign:ghost:results plan {}",
    "ZREM {mela}:campaign:film:jobs:ta/dub/00 ta/dub/0002",
    "ZADD {mela}:campaign:film:jobs:hi/dub/00 0 hi/dub/0099",
};

static void test_every_wrong_is_found_and_put_right(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(wrongs); i++) {
        _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
        submit_to_dubs(queue, "film", CLASS_BATCH, "hi ta", 3);
        struct claim held = claim_job(queue, "w1", "film/hi/dub/0000");
        struct error err;
        submit(queue, "fresh", CLASS_BATCH, "hi");
        freeReplyObject(redis_fixture_command(*state, wrongs[i]));
        if (findings(queue, false) == 0)
            fail_msg("not found: %s", wrongs[i]);
        assert_true(findings(queue, true) > 0);
        if (findings(queue, false) > 0)
            fail_msg("not put right: %s", wrongs[i]);
        /* Only where its lease was lost does the worker lose its job. */
        bool ours = finish_shaped(queue, "w1", &held, "hi ta", 3, &err);
        assert_true(ours || err.code == ERR_QUEUE_STALE);
        drain(queue, "hi ta", 3);
        assert_string_equal(campaign_state(queue, "film"), "done");
        assert_string_equal(campaign_state(queue, "fresh"), "done");
        assert_sound(queue);
    }
}

static void count_all_pools(struct queue *queue) {
    struct error err;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        struct pool_counts counts;
        assert_ok(queue_pool_counts(queue, (enum pool)pool, 0, &counts, &err), err);
    }
}

/* Before anybody has put it right. */
static void test_a_wrong_key_stops_no_farm(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(wrongs); i++) {
        _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
        submit_to_dubs(queue, "film", CLASS_BATCH, "hi ta", 3);
        struct claim hi = claim_job(queue, "w1", "film/hi/dub/0000"), ta;
        struct error err;
        submit(queue, "fresh", CLASS_BATCH, "hi");
        freeReplyObject(redis_fixture_command(*state, wrongs[i]));
        count_all_pools(queue);
        fail_with(queue, "w1", &hi, ERR_MEDIA_EMPTY);
        assert_ok(queue_retry(queue, "film/hi/dub/0000", &err), err);
        while (claim_for(queue, "w2", 60000, &ta))
            ;
        assert_ok(queue_cancel(queue, "film", &err), err);
        count_all_pools(queue);
    }
}

static void test_a_restorer_without_a_lease_holds_nobody_up(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct job_spec plan = {.id = "film/plan"};
    struct error err;
    struct claim claim;
    enum adoption adoption;
    assert_ok(queue_adopt(queue, "restore-a", &plan, 60000, false, &adoption, &claim, &err), err);
    assert_int_equal(adoption, ADOPT_LEASED);
    assert_ok(queue_adopt(queue, "restore-b", &plan, 60000, false, &adoption, &claim, &err), err);
    assert_int_equal(adoption, ADOPT_BUSY);
    freeReplyObject(redis_fixture_command(*state, "ZREM {mela}:leases film/plan"));
    assert_ok(queue_adopt(queue, "restore-b", &plan, 60000, false, &adoption, &claim, &err), err);
    assert_int_equal(adoption, ADOPT_LEASED);
}

static void test_a_strange_key_is_found_and_left(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    freeReplyObject(redis_fixture_command(*state, "SET {mela}:mine 1"));
    assert_int_equal(findings(queue, true), 1);
    assert_int_equal(findings(queue, false), 1);
}

static void test_stats_add_up(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 3);
    claim_one(queue, "w1");
    _cleanup_json_ json_t *stats = queue_stats(queue, &err);
    assert_ok(stats, err);
    const json_t *batch = json_object_get(json_object_get(json_object_get(stats, "pools"), "lipsync"), "batch");
    assert_int_equal(json_get_integer(batch, "ready", -1), 2);
    assert_int_equal(json_get_integer(batch, "leased", -1), 1);
    assert_int_equal(json_get_integer(stats, "leases", -1), 1);
    assert_int_equal(json_get_integer(stats, "campaigns", -1), 1);
    assert_true(json_get_integer(stats, "memory_bytes", 0) > 0);
}

int main(void) {
    process_begin();
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_healthy_farm_has_no_findings),
        cmocka_unit_test(test_a_large_campaign_is_checked_in_pieces),
        cmocka_unit_test(test_every_wrong_is_found_and_put_right),
        cmocka_unit_test(test_a_wrong_key_stops_no_farm),
        cmocka_unit_test(test_a_restorer_without_a_lease_holds_nobody_up),
        cmocka_unit_test(test_a_strange_key_is_found_and_left),
        cmocka_unit_test(test_stats_add_up),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
