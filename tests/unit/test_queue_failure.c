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
        fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
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

/* ---- whose fault it was ---- */

static void beat(struct queue *queue, const char *workers) {
    struct error err;
    _cleanup_json_ json_t *info = json_object();
    _cleanup_free_ char *words = xstrdup(workers);
    char *rest = words;
    for (char *worker; (worker = strsep(&rest, " "));)
        assert_ok(queue_worker_beat(queue, worker, info, 60000, &err), err);
}

/* An empty farm on which these workers live, and where what failed is due again at once. */
static struct queue *farm_of(const struct redis_fixture *fixture, const char *workers) {
    struct error err;
    struct queue *queue = fixture_open_empty(fixture);
    struct failure_policies policies = failure_defaults;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        policies.limits[kind][FAILURE_FIRST_RETRY] = policies.limits[kind][FAILURE_LONGEST_RETRY] = 1;
        policies.limits[kind][FAILURE_ERRORS] = policies.limits[kind][FAILURE_REFUSALS] = 3;
    }
    assert_ok(queue_set_failure(queue, &policies, &err), err);
    beat(queue, workers);
    submit(queue, "film", CLASS_BATCH, "hi");
    return queue;
}

static void fails_again(struct queue *queue, const char *worker, enum error_code code) {
    struct claim claim = claim_later(queue, worker);
    fail_with(queue, worker, &claim, code);
}

static void test_a_worker_that_is_at_fault_refuses(void **state) {
    _cleanup_queue_ struct queue *queue = farm_of(*state, "w1 w2");
    struct error err;
    fails_again(queue, "w1", ERR_DISK_FULL);
    assert_job_state(queue, "film/plan", "delayed");
    assert_int_equal(job_number(queue, "film/plan", "refusals"), 1);
    assert_int_equal(job_number(queue, "film/plan", "errors"), 0);
    _cleanup_json_ json_t *job = queue_job(queue, "film/plan", &err);
    assert_string_equal(json_get_string(json_object_get(job, "error"), "code", ""), "disk.full");
    struct claim claim = claim_later(queue, "w2");
    finish(queue, "w2", &claim, "hi", 1);
    _cleanup_json_ json_t *done = queue_job(queue, "film/plan", &err);
    assert_true(json_is_null(json_object_get(done, "error")));
}

/* It is always the idle one, and takes every retry. */
static void test_an_ill_worker_does_not_use_up_the_tries(void **state) {
    static const enum error_code codes[] = {ERR_DISK_FULL, ERR_STORE_UNAVAILABLE};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        _cleanup_queue_ struct queue *queue = farm_of(*state, "w1 w2 w3 w4 w5 w6 w7 w8");
        for (int j = 0; j < 8; j++)
            fails_again(queue, "w1", codes[i]);
        struct claim claim = claim_later(queue, "w2");
        finish(queue, "w2", &claim, "hi", 1);
        assert_job_state(queue, "film/plan", "done");
    }
}

static void test_what_no_worker_can_do_dies(void **state) {
    _cleanup_queue_ struct queue *queue = farm_of(*state, "w1 w2 w3 w4 w5 w6 w7 w8");
    struct error err;
    fails_again(queue, "w1", ERR_MODEL_NOT_FOUND);
    fails_again(queue, "w1", ERR_MODEL_NOT_FOUND);
    fails_again(queue, "w2", ERR_MODEL_NOT_FOUND);
    assert_job_state(queue, "film/plan", "delayed");
    fails_again(queue, "w3", ERR_STORE_DENIED);
    _cleanup_json_ json_t *job = queue_job(queue, "film/plan", &err);
    assert_string_equal(json_get_string(job, "state", ""), "dead");
    assert_string_equal(json_get_string(json_object_get(job, "error"), "code", ""), "store.denied");
    assert_string_equal(campaign_state(queue, "film"), "failed");
    assert_int_equal(json_get_integer(job, "refusals", 0), 4);
    /* A retry begins anew. */
    assert_ok(queue_retry(queue, "film/plan", &err), err);
    assert_int_equal(job_number(queue, "film/plan", "refusals"), 0);
    fails_again(queue, "w1", ERR_MODEL_NOT_FOUND);
    assert_job_state(queue, "film/plan", "delayed");
}

/* Nobody else lives: one that was killed long ago does not count. */
static void test_the_failures_of_the_only_worker_count(void **state) {
    _cleanup_queue_ struct queue *queue = farm_of(*state, "w1");
    freeReplyObject(redis_fixture_command(*state, "ZADD {mela}:workers 1 killed-long-ago"));
    for (int i = 0; i < 3; i++) {
        assert_string_not_equal(job_text(queue, "film/plan", "state"), "dead");
        fails_again(queue, "w1", ERR_DISK_FULL);
    }
    assert_job_state(queue, "film/plan", "dead");
}

/* The others may be of another pool, or take nothing any more. */
static void test_a_job_that_one_worker_alone_takes_dies_in_the_end(void **state) {
    _cleanup_queue_ struct queue *queue = farm_of(*state, "w1 w2");
    for (int i = 0; i < 12; i++) {
        assert_string_not_equal(job_text(queue, "film/plan", "state"), "dead");
        fails_again(queue, "w1", ERR_STORE_UNAVAILABLE);
    }
    assert_job_state(queue, "film/plan", "dead");
}

/* A server of before there were refusals stores six limits. */
static void test_six_limits_will_do(void **state) {
    _cleanup_queue_ struct queue *queue = farm_of(*state, "w1");
    freeReplyObject(redis_fixture_command(*state, "HSET {mela}:failure plan %s", "2 1 1 60000 3 10"));
    fails_again(queue, "w1", ERR_DISK_FULL);
    assert_job_state(queue, "film/plan", "delayed");
    fails_again(queue, "w1", ERR_DISK_FULL);
    assert_job_state(queue, "film/plan", "dead");
}

static void crash_with(struct queue *queue, const char *worker, const char *message) {
    struct error err;
    struct claim claim = claim_one(queue, worker);
    assert_ok(queue_crash(queue, worker, &claim, message, &err), err);
    assert_code(queue_crash(queue, worker, &claim, message, &err), ERR_QUEUE_STALE, err);
}

static char *message_of(struct queue *queue, const char *id) {
    struct error err;
    _cleanup_json_ json_t *job = queue_job(queue, id, &err);
    return xstrdup(json_get_string(json_object_get(job, "error"), "message", ""));
}

static void test_a_crash_is_told_at_once(void **state) {
    _cleanup_queue_ struct queue *queue = farm_of(*state, "w1 w2 w3 w4");
    crash_with(queue, "w1", "signal 11 in step encode");
    assert_job_state(queue, "film/plan", "ready");
    assert_int_equal(job_number(queue, "film/plan", "crashes"), 1);
    _cleanup_free_ char *first = message_of(queue, "film/plan");
    assert_string_equal(first, "attempt 1: signal 11 in step encode");
    crash_with(queue, "w1", "cut \xc3");
    _cleanup_free_ char *second = message_of(queue, "film/plan");
    assert_non_null(strstr(second, "attempt 2: The job ended the workers"));
    lose_a_worker(queue, "w2", "film/plan");
    crash_with(queue, "w3", "signal 11 in step encode, frame 3 of \"a\"");
    assert_job_state(queue, "film/plan", "dead");
    _cleanup_free_ char *last = message_of(queue, "film/plan");
    assert_string_equal(last, "attempt 4: signal 11 in step encode, frame 3 of \"a\"; crashed on w1 w2 w3");
    assert_idle(queue);
}

static int64_t delay_after_errors(struct queue *queue, const struct redis_fixture *fixture, int errors) {
    freeReplyObject(redis_fixture_command(fixture, "HSET {mela}:job:film/plan errors %d", errors - 1));
    struct claim claim = claim_later(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
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
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    assert_job_state(queue, "film/plan", "delayed");
    freeReplyObject(redis_fixture_command(*state, "HSET {mela}:job:film/plan errors %d",
                                          failure_defaults.limits[KIND_PLAN][FAILURE_ERRORS] - 1));
    freeReplyObject(redis_fixture_command(*state, "ZADD {mela}:delayed:cpu:batch 1 film/plan"));
    claim = claim_later(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    assert_job_state(queue, "film/plan", "dead");
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_its_own_number_of_errors),
        cmocka_unit_test(test_a_worker_that_is_at_fault_refuses),
        cmocka_unit_test(test_an_ill_worker_does_not_use_up_the_tries),
        cmocka_unit_test(test_what_no_worker_can_do_dies),
        cmocka_unit_test(test_the_failures_of_the_only_worker_count),
        cmocka_unit_test(test_a_job_that_one_worker_alone_takes_dies_in_the_end),
        cmocka_unit_test(test_six_limits_will_do),
        cmocka_unit_test(test_a_crash_is_told_at_once),
        cmocka_unit_test(test_the_wait_before_a_retry_doubles_up_to_its_limit),
        cmocka_unit_test(test_each_kind_has_its_own_number_of_lost_workers),
        cmocka_unit_test(test_each_kind_has_its_own_longest_run),
        cmocka_unit_test(test_without_a_stored_policy_the_defaults_hold),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
