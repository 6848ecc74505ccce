/* Quiet hours as workers see them: claims of a held class get nothing, nothing that runs is touched. */
#include "queue_fixture.h"

#include "base/process.h"
#include "scale/hold.h"

enum { MINUTE_MS = 60000, DAY_MS = 86400000 };

static int64_t test_now_ms;
static int64_t test_wall(void *context) { return __atomic_load_n(&test_now_ms, __ATOMIC_SEQ_CST); }

/* 22:45 in India on the day after tomorrow: Redis' own clock must not have passed the end of the night. */
static int64_t next_evening_ms(void) {
    int64_t offset = 330 * MINUTE_MS, local = clock_wall_ms(clock_system()) + offset;
    return local - local % DAY_MS + 2 * (int64_t)DAY_MS + (22 * 60 + 45) * MINUTE_MS - offset;
}

static struct scale_policies *default_policies(void) {
    _cleanup_json_ json_t *problems = json_array();
    struct scale_policies *policies = scale_policies_read(NULL, true, problems);
    assert_non_null(policies);
    return policies;
}

static void write_holds(const struct scale_policies *policies, struct queue *queue, int64_t now_ms) {
    struct error err;
    int64_t next;
    assert_ok(scale_write_holds(policies, queue, now_ms, &next, &err), err);
    assert_true(next > now_ms);
}

/* 30 minutes around the evening's and the morning's change, minute by minute. */
static void test_batch_waits_at_night_and_what_runs_finishes(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_policies_ struct scale_policies *policies = default_policies();
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 40);
    struct claim runs, claim;
    for (int64_t minute = 0; minute < 30; minute++) {
        write_holds(policies, queue, next_evening_ms() + minute * MINUTE_MS);
        assert_int_equal(claim_for(queue, "w", 60000, &claim), minute < 15);
        if (minute == 14)
            runs = claim;
        else if (minute < 15)
            finish(queue, "w", &claim, "hi", 40);
    }
    struct error err;
    assert_ok(queue_heartbeat(queue, "w", &runs, 60000, NULL, &err), err);
    finish(queue, "w", &runs, "hi", 40);
    int64_t morning = next_evening_ms() + 8 * 60 * MINUTE_MS;
    for (int64_t minute = 0; minute < 30; minute++) {
        write_holds(policies, queue, morning + minute * MINUTE_MS);
        assert_int_equal(claim_for(queue, "w", 60000, &claim), minute >= 15);
    }
}

static void test_urgent_runs_at_night(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_policies_ struct scale_policies *policies = default_policies();
    submit(queue, "slow", CLASS_BATCH, "hi");
    submit(queue, "fast", CLASS_URGENT, "hi");
    write_holds(policies, queue, next_evening_ms() + 60 * MINUTE_MS);
    finish(queue, "w", (struct claim[]){claim_job(queue, "w", "fast/plan")}, "hi", 1);
    struct error err;
    struct pool_counts counts;
    clock_sleep_ms(clock_system(), 5);
    assert_ok(queue_pool_counts(queue, POOL_CPU, 0, &counts, &err), err);
    assert_int_equal(counts.ready[CLASS_BATCH], 1);
    assert_int_equal(counts.oldest_ready_ms, 0); /* slow/plan may not begin */
    assert_true(counts.held_until_ms[CLASS_BATCH] == next_evening_ms() + (8 * 60 + 15) * (int64_t)MINUTE_MS);
    assert_int_equal(counts.held_until_ms[CLASS_URGENT], 0);
    struct scale_demand demand = scale_demand_of(&counts);
    assert_int_equal(scale_desired(&scale_rule_default, &demand).total, 0);
}

static struct scale_answer answer_of(struct queue *queue, struct pool_counts *counts) {
    struct error err;
    assert_ok(queue_pool_counts(queue, POOL_LIPSYNC, 0, counts, &err), err);
    struct scale_demand demand = scale_demand_of(counts);
    return scale_desired(&scale_rule_default, &demand);
}

/* Six at work when the evening comes, one ends every four minutes: as many workers are wanted as still work, for the
 * half hour around 23:00, and none is called off before its end. Urgent work begins all the same. Towards the morning
 * there are none, and at 07:00 the rule has the word again. */
static void test_workers_are_wanted_as_long_as_they_work_and_again_in_the_morning(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_policies_ struct scale_policies *policies = default_policies();
    struct pool_counts counts;
    struct claim running[6], claim;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 36);
    for (int i = 0; i < 6; i++)
        running[i] = claim_one(queue, "w");
    for (int minute = 0, ended = 0; minute < 30; minute++) {
        write_holds(policies, queue, next_evening_ms() + minute * MINUTE_MS);
        if (minute % 4 == 3 && ended < 6)
            finish(queue, "w", &running[ended++], "hi", 36);
        struct scale_answer answer = answer_of(queue, &counts);
        assert_int_equal(counts.leased[CLASS_BATCH], 6 - ended);
        assert_int_equal(answer.total, minute < 15 ? (36 - ended + 1) / 2 : 6 - ended);
        assert_int_equal(answer.workers[CLASS_BATCH], answer.total);
        if (minute >= 15)
            assert_false(claim_for(queue, "w", 60000, &claim));
    }
    submit(queue, "rush", CLASS_URGENT, "hi");
    finish(queue, "w", (struct claim[]){claim_job(queue, "w", "rush/plan")}, "hi", 3);
    assert_int_equal(answer_of(queue, &counts).total, 2);
    drain(queue, "hi", 3);
    for (int minute = 0; minute < 30; minute++) {
        write_holds(policies, queue, next_evening_ms() + (8 * 60 + minute) * MINUTE_MS);
        assert_int_equal(answer_of(queue, &counts).total, minute < 15 ? 0 : 15);
    }
    assert_int_equal(drain(queue, "hi", 36), 30 + 1); /* all that waited, and the join */
}

static int64_t held_until_ms(struct queue *queue, const char *id) {
    struct error err;
    _cleanup_json_ json_t *campaign = queue_campaign(queue, id, &err);
    assert_ok(campaign, err);
    assert_non_null(json_object_get(campaign, "held_until_ms"));
    return json_get_integer(campaign, "held_until_ms", 0);
}

/* Only a campaign that has ready jobs of a held class in that very pool is said to wait for the hold's end. */
static void test_a_campaign_says_that_it_is_held(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_policies_ struct scale_policies *policies = default_policies();
    struct error err;
    submit_to_dubs(queue, "slow", CLASS_BATCH, "hi", 2);
    submit(queue, "fast", CLASS_URGENT, "hi");
    assert_int_equal(held_until_ms(queue, "slow"), 0);
    assert_ok(queue_hold(queue, POOL_CPU, CLASS_BATCH, HOLD_BY_HAND, INT64_MAX, &err), err);
    assert_int_equal(held_until_ms(queue, "slow"), 0); /* its dubs are of pool lipsync */
    write_holds(policies, queue, next_evening_ms() + 60 * MINUTE_MS);
    assert_true(held_until_ms(queue, "slow") == next_evening_ms() + (8 * 60 + 15) * (int64_t)MINUTE_MS);
    assert_int_equal(held_until_ms(queue, "fast"), 0);
    submit(queue, "later", CLASS_BATCH, "hi");
    assert_true(held_until_ms(queue, "later") == INT64_C(1) << 52);
    assert_ok(queue_cancel(queue, "later", &err), err);
    assert_int_equal(held_until_ms(queue, "later"), 0);
}

/* A worker that waits for a held class blocks, and is woken when it is resumed. */
static void test_holds_by_hand_win_and_waiting_does_not_spin(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_policies_ struct scale_policies *policies = default_policies();
    struct claim_options options = all_pools("w", 60000);
    struct error err;
    struct claim claim;
    bool ready;
    submit(queue, "film", CLASS_BATCH, "hi");
    int64_t now = clock_wall_ms(clock_system());
    assert_ok(queue_hold(queue, POOL_CPU, CLASS_BATCH, HOLD_BY_HAND, INT64_MAX, &err), err);
    assert_ok(queue_wait(queue, &options, 10, &ready, &err), err); /* takes the marker of the hold itself */
    assert_ok(queue_wait(queue, &options, 10, &ready, &err), err);
    assert_false(ready);
    assert_false(claim_for(queue, "w", 60000, &claim));
    assert_ok(scale_resume(policies, queue, POOL_CPU, CLASS_BATCH, now, &err), err);
    assert_ok(queue_wait(queue, &options, 10000, &ready, &err), err);
    assert_true(ready);
    write_holds(policies, queue, next_evening_ms() + 60 * MINUTE_MS);
    assert_ok(scale_resume(policies, queue, POOL_CPU, CLASS_BATCH, next_evening_ms() + 60 * MINUTE_MS, &err), err);
    claim = claim_job(queue, "w", "film/plan");
}

static void test_a_hold_ends_by_itself(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct claim_options options = all_pools("w", 60000);
    struct error err;
    struct claim claim;
    bool ready = false;
    submit(queue, "film", CLASS_BATCH, "hi");
    int64_t soon = clock_wall_ms(clock_system()) + 300;
    assert_ok(queue_hold(queue, POOL_CPU, CLASS_BATCH, HOLD_CALENDAR, soon, &err), err);
    while (!claim_for(queue, "w", 60000, &claim))
        assert_ok(queue_wait(queue, &options, 60000, &ready, &err), err);
    assert_true(clock_wall_ms(clock_system()) >= soon);
}

static void test_the_keeper_follows_its_clock(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_policies_ struct scale_policies *policies = default_policies();
    const struct redis_fixture *fixture = *state;
    const struct clock clock = {.wall_ms = test_wall};
    struct queue_options options = {.url = fixture->url};
    struct error err;
    struct pool_counts counts = {0};
    __atomic_store_n(&test_now_ms, next_evening_ms() + 15 * MINUTE_MS - 50, __ATOMIC_SEQ_CST);
    struct hold_keeper *keeper = hold_keeper_start(&options, policies, &clock);
    __atomic_store_n(&test_now_ms, next_evening_ms() + 15 * MINUTE_MS, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 1000 && counts.held_until_ms[CLASS_BATCH] == 0; i++) {
        clock_sleep_ms(clock_system(), 10);
        assert_ok(queue_pool_counts(queue, POOL_LIPSYNC, 0, &counts, &err), err);
    }
    hold_keeper_stop(keeper);
    assert_true(counts.held_until_ms[CLASS_BATCH] > 0);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_waits_at_night_and_what_runs_finishes),
        cmocka_unit_test(test_workers_are_wanted_as_long_as_they_work_and_again_in_the_morning),
        cmocka_unit_test(test_urgent_runs_at_night),
        cmocka_unit_test(test_a_campaign_says_that_it_is_held),
        cmocka_unit_test(test_holds_by_hand_win_and_waiting_does_not_spin),
        cmocka_unit_test(test_a_hold_ends_by_itself),
        cmocka_unit_test(test_the_keeper_follows_its_clock),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
