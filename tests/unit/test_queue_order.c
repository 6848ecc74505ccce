/* Order at size: what ten thousand queued jobs mean to those who come later. Claims are counted, not timed. */
#include "base/process.h"
#include "queue_fixture.h"

enum { MANY = 10000 };

/* The campaign's tracks are all ready; `busy` of them are leased. */
static void queue_many(struct queue *queue, int busy) {
    submit(queue, "large", CLASS_BATCH, "hi");
    struct claim claim = claim_job(queue, "w", "large/plan");
    finish(queue, "w", &claim, "hi", MANY);
    while (busy-- > 0)
        claim = claim_one(queue, "w");
}

static bool is_of(const struct claim *claim, const char *campaign) {
    return strcmp(claim->job.campaign, campaign) == 0;
}

/* A campaign of ten jobs: a plan, four tracks, four dubs, a join. While two campaigns have work each gets every second
 * claim, so a job of the small one that is ready is claimed by the second claim, its nth by the 2nth. */
static void test_ten_thousand_jobs_do_not_delay_ten(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    enum { SEGMENTS = 4, JOBS = 10 };
    queue_many(queue, 100);
    submit(queue, "small", CLASS_BATCH, "hi");
    int claims = 0, done = 0;
    while (strcmp(campaign_state(queue, "small"), "running") == 0) {
        struct claim claim = claim_one(queue, "w");
        claims++;
        if (!is_of(&claim, "small"))
            continue;
        finish(queue, "w", &claim, "hi", SEGMENTS);
        assert_true(claims <= 2 * ++done);
    }
    assert_int_equal(done, JOBS);
    assert_string_equal(campaign_state(queue, "small"), "done");
}

/* Three late ones share with the large one: each gets every fourth claim. */
static void test_those_who_come_late_share_alike(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    static const char *const late[] = {"late-1", "late-2", "late-3"};
    queue_many(queue, 100);
    for (size_t i = 0; i < ARRAY_LENGTH(late); i++) {
        submit(queue, late[i], CLASS_BATCH, "hi");
        struct claim claim = {0};
        for (bool planned = false; !planned;) {
            claim = claim_one(queue, "w");
            if ((planned = claim.job.kind == KIND_PLAN))
                finish(queue, "w", &claim, "hi", 25);
        }
    }
    int claimed[ARRAY_LENGTH(late) + 1] = {0};
    for (int n = 0; n < 80; n++) {
        struct claim claim = claim_one(queue, "w");
        size_t who = 0;
        while (who < ARRAY_LENGTH(late) && !is_of(&claim, late[who]))
            who++;
        claimed[who]++;
    }
    /* Those who were planned first have had a claim or two already. */
    for (size_t i = 0; i <= ARRAY_LENGTH(late); i++)
        assert_in_range(claimed[i], 18, 22);
}

/* Every worker is busy with batch; whoever ends its job first takes the urgent one, and all of the urgent campaign goes
 * before the next of batch. */
static void test_urgent_passes_ten_thousand_within_one_job(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    queue_many(queue, 7);
    struct claim busy = claim_one(queue, "w1"), next;
    submit(queue, "rush", CLASS_URGENT, "hi");
    struct claim_options options = all_pools("w1", 60000);
    size_t count;
    struct job_result result = {.artifact = "x"};
    assert_ok(queue_finish_and_claim(queue, &options, &busy, &result, &next, 1, &count, &err), err);
    for (int i = 0; i < 10; i++) {
        assert_true(count == 1 && is_of(&next, "rush"));
        finish(queue, "w1", &next, "hi", 4);
        if (i < 9)
            next = claim_one(queue, "w1");
    }
    assert_string_equal(campaign_state(queue, "rush"), "done");
    next = claim_one(queue, "w1");
    assert_true(is_of(&next, "large"));
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_thousand_jobs_do_not_delay_ten),
        cmocka_unit_test(test_those_who_come_late_share_alike),
        cmocka_unit_test(test_urgent_passes_ten_thousand_within_one_job),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
