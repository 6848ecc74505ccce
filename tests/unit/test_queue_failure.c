/* The failure policy: limits by kind, stored in Redis, the same for whoever fails, expires or renews a job. */
#include "base/process.h"
#include "queue_fixture.h"

static void set_limit(struct queue *queue, enum job_kind kind, enum failure_limit limit, int value) {
    struct error err;
    struct failure_policies policies = failure_defaults;
    policies.limits[kind][FAILURE_FIRST_RETRY] = 1;
    policies.limits[kind][limit] = value;
    assert_ok(queue_set_failure(queue, &policies, &err), err);
}

/* Fails the campaign's only job until it is dead; returns how often. */
static int errors_to_death(struct queue *queue, const char *id) {
    int errors = 0;
    while (strcmp(job_text(queue, id, "state"), "dead") != 0) {
        struct claim claim = claim_later(queue, "w1");
        assert_string_equal(claim.job_id, id);
        fail_with(queue, "w1", &claim, ERR_IO);
        errors++;
    }
    return errors;
}

/* Another connection, as another worker's, goes by the same limit. */
static void test_each_kind_has_its_own_number_of_errors(void **state) {
    _cleanup_queue_ struct queue *server = fixture_open_empty(*state), *queue = fixture_open(*state);
    set_limit(server, KIND_DUB, FAILURE_ERRORS, 2);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 1);
    assert_int_equal(errors_to_death(queue, "film/hi/dub/0000"), 2);
    set_limit(server, KIND_PLAN, FAILURE_ERRORS, 1);
    submit(queue, "next", CLASS_BATCH, "hi");
    assert_int_equal(errors_to_death(queue, "next/plan"), 1);
}

static int64_t delay_after_errors(struct queue *queue, const struct redis_fixture *fixture, int errors) {
    freeReplyObject(redis_fixture_command(fixture, "HSET {mela}:job:film/plan errors %d", errors - 1));
    struct claim claim = claim_later(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_IO);
    redisReply *reply = redis_fixture_command(fixture, "EVAL %s 0",
                                              "return redis.call('HGET', '{mela}:job:film/plan', 'due') - "
                                              "redis.call('TIME')[1] * 1000");
    int64_t due = reply->integer;
    freeReplyObject(reply);
    freeReplyObject(redis_fixture_command(fixture, "ZADD {mela}:delayed:cpu:batch 1 film/plan"));
    return due;
}

static void test_the_wait_before_a_retry_doubles_up_to_its_limit(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct failure_policies policies = failure_defaults;
    policies.limits[KIND_PLAN][FAILURE_ERRORS] = 100;
    policies.limits[KIND_PLAN][FAILURE_FIRST_RETRY] = 100000;
    policies.limits[KIND_PLAN][FAILURE_LONGEST_RETRY] = 300000;
    assert_ok(queue_set_failure(queue, &policies, &err), err);
    submit(queue, "film", CLASS_BATCH, "hi");
    int64_t first = delay_after_errors(queue, *state, 1), second = delay_after_errors(queue, *state, 2),
            ninth = delay_after_errors(queue, *state, 9);
    /* The upper half is left to chance; TIME was cut to the second, and the test may stall a while. */
    assert_true(first > 20000 && first <= 101000);
    assert_true(second > 70000 && second <= 201000);
    assert_true(ninth > 120000 && ninth <= 301000);
}

static void lose_a_worker(struct queue *queue, const char *worker, const char *id) {
    struct error err;
    struct claim claim = {0};
    for (int i = 0; i < 2000 && !claim_for(queue, worker, 1, &claim); i++)
        clock_sleep_ms(clock_system(), 5);
    assert_string_equal(claim.job_id, id);
    bool more = true;
    for (int i = 0; i < 2000 && strcmp(job_text(queue, id, "state"), "leased") == 0; i++)
        assert_ok(queue_sweep(queue, INT32_MAX, &more, &err), err);
}

static void test_each_kind_has_its_own_number_of_lost_workers(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    set_limit(queue, KIND_PLAN, FAILURE_CRASHED_WORKERS, 2);
    submit(queue, "film", CLASS_BATCH, "hi");
    lose_a_worker(queue, "w1", "film/plan");
    lose_a_worker(queue, "w1", "film/plan");
    assert_job_state(queue, "film/plan", "ready");
    lose_a_worker(queue, "w2", "film/plan");
    assert_job_state(queue, "film/plan", "dead");
    set_limit(queue, KIND_PLAN, FAILURE_CRASHES, 2);
    submit(queue, "next", CLASS_BATCH, "hi");
    lose_a_worker(queue, "w1", "next/plan");
    assert_job_state(queue, "next/plan", "ready");
    lose_a_worker(queue, "w1", "next/plan");
    assert_job_state(queue, "next/plan", "dead");
}

/* A limit that is made shorter reaches the attempt that runs; so does one that is made longer. */
static void test_each_kind_has_its_own_longest_run(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    freeReplyObject(redis_fixture_command(*state, "EVAL %s 0",
                                          "redis.call('HSET', '{mela}:job:film/plan', 'claimed', "
                                          "redis.call('TIME')[1] * 1000 - 600000)"));
    set_limit(queue, KIND_TRACK, FAILURE_LONGEST_RUN, 1000);
    assert_ok(queue_heartbeat(queue, "w1", &claim, 60000, NULL, &err), err);
    set_limit(queue, KIND_PLAN, FAILURE_LONGEST_RUN, 300000);
    assert_code(queue_heartbeat(queue, "w1", &claim, 60000, NULL, &err), ERR_JOB_TIMEOUT, err);
    set_limit(queue, KIND_PLAN, FAILURE_LONGEST_RUN, 900000);
    assert_ok(queue_heartbeat(queue, "w1", &claim, 60000, NULL, &err), err);
}

/* Redis was emptied, or no server has told it yet. */
static void test_without_a_stored_policy_the_defaults_hold(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    set_limit(queue, KIND_PLAN, FAILURE_ERRORS, 1);
    freeReplyObject(redis_fixture_command(*state, "DEL {mela}:failure"));
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_IO);
    assert_job_state(queue, "film/plan", "delayed");
    freeReplyObject(redis_fixture_command(*state, "HSET {mela}:job:film/plan errors %d",
                                          failure_defaults.limits[KIND_PLAN][FAILURE_ERRORS] - 1));
    freeReplyObject(redis_fixture_command(*state, "ZADD {mela}:delayed:cpu:batch 1 film/plan"));
    claim = claim_later(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_IO);
    assert_job_state(queue, "film/plan", "dead");
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_its_own_number_of_errors),
        cmocka_unit_test(test_the_wait_before_a_retry_doubles_up_to_its_limit),
        cmocka_unit_test(test_each_kind_has_its_own_number_of_lost_workers),
        cmocka_unit_test(test_each_kind_has_its_own_longest_run),
        cmocka_unit_test(test_without_a_stored_policy_the_defaults_hold),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
