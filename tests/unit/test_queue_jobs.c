/* Every transition of a job, fencing, and the order of claims. */
#include "base/process.h"
#include "queue_fixture.h"

#include "farm/limits.h"

static void test_a_campaign_runs_to_its_end(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi ta");
    struct claim plan = claim_job(queue, "w1", "film/plan");
    assert_int_equal(plan.attempt, 1);
    assert_int_equal(plan.class, CLASS_BATCH);
    assert_job_state(queue, "film/plan", "leased");
    finish(queue, "w1", &plan, "hi ta", 3);
    assert_job_state(queue, "film/hi/join", "waiting");
    assert_int_equal(drain(queue, "hi ta", 3), 3 + 6 + 2);
    assert_string_equal(campaign_state(queue, "film"), "done");
    assert_string_equal(language_state(queue, "film", 1), "done");
    assert_memory_equal(job_text(queue, "film/ta/join", "artifact"), "campaigns/film/ta/final.1-", 26);
    assert_idle(queue);
}

static void test_a_join_waits_for_its_last_dub(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 2);
    struct claim first = claim_job(queue, "w1", "film/hi/dub/0000");
    struct claim second = claim_job(queue, "w1", "film/hi/dub/0001"), none;
    finish(queue, "w1", &second, "hi", 2);
    finish(queue, "w1", &second, "hi", 2);
    assert_false(claim_for(queue, "w1", 60000, &none));
    assert_job_state(queue, "film/hi/join", "waiting");
    finish(queue, "w1", &first, "hi", 2);
    claim_job(queue, "w1", "film/hi/join");
}

static void test_the_same_submission_twice_is_one(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct dub dub = {.language = (char *)"hi"};
    struct campaign again = {.id = (char *)"film", .name = (char *)"A name", .dubs = &dub, .dub_count = 1};
    bool created = true;
    assert_ok(queue_submit(queue, &again, SPEC_SHA, &created, &err), err);
    assert_false(created);
    assert_code(queue_submit(queue, &again, "another", &created, &err), ERR_QUEUE_EXISTS, err);
    claim_job(queue, "w1", "film/plan");
    assert_false(claim_for(queue, "w1", 60000, &(struct claim){0}));
}

/* Whoever lost the lease can do nothing to the job any more. */
static void assert_refused(struct queue *queue, const char *worker, const struct claim *claim) {
    struct error err, failure = {.code = ERR_STORE_UNAVAILABLE};
    assert_code(queue_heartbeat(queue, worker, claim, 1000, NULL, &err), ERR_QUEUE_STALE, err);
    assert_code(finish_shaped(queue, worker, claim, "hi", 1, &err), ERR_QUEUE_STALE, err);
    assert_code(queue_fail(queue, worker, claim, &failure, &err), ERR_QUEUE_STALE, err);
    assert_code(queue_crash(queue, worker, claim, "signal 11", &err), ERR_QUEUE_STALE, err);
    assert_code(queue_release(queue, worker, claim, &err), ERR_QUEUE_STALE, err);
}

static void test_a_stale_worker_is_refused(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim old = claim_job(queue, "w1", "film/plan");
    assert_ok(queue_release(queue, "w1", &old, &err), err);
    assert_refused(queue, "w1", &old);
    struct claim now = claim_job(queue, "w1", "film/plan");
    assert_int_equal(now.attempt, 2);
    assert_refused(queue, "w1", &old);
    assert_refused(queue, "w2", &now);
    struct claim never = now;
    snprintf(never.stamp, sizeof never.stamp, "3-%s", strchr(now.stamp, '-') + 1);
    assert_refused(queue, "w1", &never);
    assert_job_state(queue, "film/plan", "leased");
    assert_string_equal(job_text(queue, "film/plan", "artifact"), "(none)");
    finish(queue, "w1", &now, "hi", 1);
    assert_refused(queue, "w2", &now);
}

/* Redis lost everything and was filled again: the same worker may have the same attempt of the same job twice. */
static void test_a_claim_of_before_a_wipe_is_refused(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim old = claim_job(queue, "w1", "film/plan");
    freeReplyObject(redis_fixture_command(*state, "FLUSHALL"));
    assert_refused(queue, "w1", &old);
    submit(queue, "film", CLASS_BATCH, "hi");
    assert_refused(queue, "w1", &old);
    struct claim now = claim_job(queue, "w1", "film/plan");
    assert_int_equal(now.attempt, old.attempt);
    assert_string_not_equal(now.stamp, old.stamp);
    assert_refused(queue, "w1", &old);
    finish(queue, "w1", &now, "hi", 1);
}

static void test_a_repeated_finish_succeeds_and_changes_nothing(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim plan = claim_one(queue, "w1");
    finish(queue, "w1", &plan, "hi", 2);
    finish(queue, "w1", &plan, "hi", 2);
    _cleanup_json_ json_t *totals = queue_totals(queue, &err);
    assert_int_equal(json_get_integer(json_object_get(totals, "jobs_done"), "plan", 0), 1);
    assert_int_equal(json_get_integer(totals, "frames", 0), 24);
    assert_int_equal(json_get_integer(json_object_get(totals, "step_ms"), "lips", 0), 7);
    assert_int_equal(drain(queue, "hi", 2), 5);
}

static void test_a_finish_claims_the_next_job_but_not_twice(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 3);
    struct claim claim = claim_job(queue, "w1", "film/hi/dub/0000"), next, none;
    struct claim_options options = all_pools("w1", 60000);
    struct job_result result = {.artifact = "a"};
    size_t count;
    assert_ok(queue_finish_and_claim(queue, &options, &claim, &result, &next, 1, &count, &err), err);
    assert_int_equal(count, 1);
    assert_string_equal(next.job_id, "film/hi/dub/0001");
    assert_job_state(queue, "film/hi/dub/0000", "done");
    assert_job_state(queue, "film/hi/dub/0001", "leased");
    /* Sent again, as when the reply was lost. */
    assert_ok(queue_finish_and_claim(queue, &options, &claim, &result, &none, 1, &count, &err), err);
    assert_int_equal(count, 0);
    /* A refused one claims nothing. */
    assert_ok(queue_release(queue, "w1", &next, &err), err);
    assert_code(queue_finish_and_claim(queue, &options, &next, &result, &none, 1, &count, &err), ERR_QUEUE_STALE, err);
    assert_int_equal(count, 0);
    assert_job_state(queue, "film/hi/dub/0001", "ready");
    assert_job_state(queue, "film/hi/dub/0002", "ready");
}

static void test_a_heartbeat_keeps_the_lease(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim, none;
    assert_true(claim_for(queue, "w1", 1, &claim));
    clock_sleep_ms(clock_system(), 5);
    /* Run out, but nobody took it: it can still be renewed. */
    _cleanup_json_ json_t *progress = json_pack("{s:i, s:i}", "frames", 12, "of", 24);
    assert_ok(queue_heartbeat(queue, "w1", &claim, 60000, progress, &err), err);
    assert_false(claim_for(queue, "w2", 60000, &none));
    _cleanup_json_ json_t *job = queue_job(queue, "film/plan", &err);
    assert_int_equal(json_get_integer(json_object_get(job, "progress"), "frames", 0), 12);
    finish(queue, "w1", &claim, "hi", 1);
}

static void test_an_expired_lease_goes_to_another_worker(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim stalled;
    assert_true(claim_for(queue, "w1", 1, &stalled));
    struct claim taken = claim_later(queue, "w2");
    assert_string_equal(taken.job_id, "film/plan");
    assert_int_equal(taken.attempt, 2);
    assert_refused(queue, "w1", &stalled);
    assert_int_equal(job_number(queue, "film/plan", "crashes"), 1);
    assert_int_equal(job_number(queue, "film/plan", "errors"), 0);
    finish(queue, "w2", &taken, "hi", 1);
}

static void test_a_job_that_loses_three_workers_dies(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    static const char *const workers[] = {"w1", "w1", "w2", "w3"};
    struct claim claim;
    for (size_t i = 0; i < ARRAY_LENGTH(workers); i++) {
        for (int tries = 0; tries < 2000 && !claim_for(queue, workers[i], 1, &claim); tries++)
            clock_sleep_ms(clock_system(), 5);
        assert_int_equal(claim.attempt, i + 1);
    }
    bool more = true;
    for (int i = 0; i < 2000 && strcmp(job_text(queue, "film/plan", "state"), "dead") != 0; i++)
        assert_ok(queue_sweep(queue, INT32_MAX, &more, &err), err);
    _cleanup_json_ json_t *job = queue_job(queue, "film/plan", &err);
    assert_string_equal(json_get_string(json_object_get(job, "error"), "code", ""), "job.crashed");
    assert_non_null(strstr(json_get_string(json_object_get(job, "error"), "message", ""), "w1 w2 w3"));
    assert_string_equal(campaign_state(queue, "film"), "failed");
    assert_idle(queue);
}

static void test_a_worker_that_keeps_its_name_cannot_crash_for_ever(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = {0};
    for (int i = 0; i < 5000 && strcmp(job_text(queue, "film/plan", "state"), "dead") != 0; i++)
        if (!claim_for(queue, "w1", 1, &claim))
            clock_sleep_ms(clock_system(), 1);
    assert_int_equal(claim.attempt, 10);
    assert_job_state(queue, "film/plan", "dead");
}

static void test_errors_are_retried_with_delay_then_kill(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 1);
    for (int error = 1; error <= 5; error++) {
        struct claim claim = claim_later(queue, "w1");
        assert_int_equal(claim.attempt, error);
        fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
        assert_job_state(queue, "film/hi/dub/0000", error < 5 ? "delayed" : "dead");
        assert_int_equal(job_number(queue, "film/hi/dub/0000", "errors"), error);
    }
    assert_int_equal(job_number(queue, "film/hi/dub/0000", "crashes"), 0);
}

static void test_a_permanent_error_kills_at_once(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_MEDIA_NO_VIDEO);
    _cleanup_json_ json_t *job = queue_job(queue, "film/plan", &err);
    assert_string_equal(json_get_string(job, "state", ""), "dead");
    assert_string_equal(json_get_string(json_object_get(job, "error"), "code", ""), "media.no_video");
    assert_string_equal(json_get_string(json_object_get(job, "error"), "message", ""), "it \"broke\"");
    assert_string_equal(campaign_state(queue, "film"), "failed");
}

/* Released, failed, refused, crashed or expired: a job comes back before those that were behind it. */
static void test_a_job_that_comes_back_keeps_its_place(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 4);
    struct claim claim = claim_job(queue, "w1", "film/hi/dub/0000");
    assert_ok(queue_release(queue, "w1", &claim, &err), err);
    claim = claim_job(queue, "w1", "film/hi/dub/0000");
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    clock_sleep_ms(clock_system(), 10);
    claim = claim_job(queue, "w1", "film/hi/dub/0000");
    fail_with(queue, "w1", &claim, ERR_DISK_FULL);
    clock_sleep_ms(clock_system(), 10);
    claim = claim_job(queue, "w1", "film/hi/dub/0000");
    assert_ok(queue_crash(queue, "w1", &claim, "signal 11", &err), err);
    claim_job(queue, "w1", "film/hi/dub/0000");
    assert_true(claim_for(queue, "w2", 1, &claim));
    assert_string_equal(claim.job_id, "film/hi/dub/0001");
    clock_sleep_ms(clock_system(), 10);
    claim_job(queue, "w1", "film/hi/dub/0001");
    claim_job(queue, "w1", "film/hi/dub/0002");
}

static void test_a_release_is_neither_error_nor_crash(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    for (int i = 0; i < 12; i++) {
        struct claim claim = claim_one(queue, "w1");
        assert_ok(queue_release(queue, "w1", &claim, &err), err);
    }
    assert_job_state(queue, "film/plan", "ready");
    assert_int_equal(job_number(queue, "film/plan", "errors"), 0);
    assert_int_equal(job_number(queue, "film/plan", "crashes"), 0);
}

static void test_a_large_campaign_cannot_starve_a_small_one(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "large", CLASS_BATCH, "hi", 300);
    for (int i = 0; i < 50; i++)
        claim_one(queue, "w1");
    submit(queue, "second", CLASS_BATCH, "hi");
    /* The plan goes first of its pool; then its tracks take turns with the large campaign's dubs. */
    struct claim claim = claim_one(queue, "w1");
    if (claim.job.kind != KIND_PLAN)
        claim = claim_one(queue, "w1");
    assert_string_equal(claim.job_id, "second/plan");
    finish(queue, "w1", &claim, "hi", 10);
    int own = 0;
    for (int i = 0; i < 20; i++)
        own += strcmp(claim_one(queue, "w1").job.campaign, "second") == 0;
    assert_in_range(own, 9, 10);
}

static void test_urgent_passes_batch(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "batch", CLASS_BATCH, "hi", 5);
    submit(queue, "urgent", CLASS_URGENT, "hi");
    struct claim claim = claim_job(queue, "w1", "urgent/plan");
    assert_int_equal(claim.class, CLASS_URGENT);
    finish(queue, "w1", &claim, "hi", 2);
    for (int i = 0; i < 5; i++) {
        claim = claim_one(queue, "w1");
        assert_string_equal(claim.job.campaign, "urgent");
        finish(queue, "w1", &claim, "hi", 2);
    }
    claim_job(queue, "w1", "batch/hi/dub/0000");
}

static void test_a_worker_takes_its_own_pools_only_and_several_at_once(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 5);
    struct claim claims[8];
    size_t count;
    struct claim_options cpu = {.worker = "c", .pools = (enum pool[]){POOL_CPU}, .pool_count = 1, .lease_ms = 60000};
    assert_ok(queue_claim(queue, &cpu, claims, 8, &count, &err), err);
    assert_int_equal(count, 0);
    struct claim_options all = all_pools("w1", 60000);
    assert_ok(queue_claim(queue, &all, claims, 3, &count, &err), err);
    assert_int_equal(count, 3);
    assert_string_equal(claims[2].job_id, "film/hi/dub/0002");
    assert_ok(queue_claim(queue, &all, claims, 8, &count, &err), err);
    assert_int_equal(count, 2);
}

/* One of them is lost; what a repetition of the call would claim again it does not. */
static void test_several_finishes_in_one_call_stand_by_themselves(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err, refusals[3];
    struct claim held[3], next[3];
    size_t count;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 5);
    struct claim_options options = all_pools("w1", 60000);
    assert_ok(queue_claim(queue, &options, held, 3, &count, &err), err);
    assert_int_equal(count, 3);
    assert_ok(queue_release(queue, "w1", &held[1], &err), err);
    json_t *report = json_pack("{s:i}", "frames", 24);
    struct job_result results[3] = {{.artifact = "a", .report = report}, {.artifact = "b"}, {.artifact = "c"}};
    assert_ok(queue_finish_many(queue, &options, held, results, 3, refusals, next, 3, &count, &err), err);
    json_decref(report);
    assert_int_equal(refusals[0].code, ERR_NONE);
    assert_int_equal(refusals[1].code, ERR_QUEUE_STALE);
    assert_int_equal(refusals[2].code, ERR_NONE);
    assert_int_equal(count, 3);
    assert_string_equal(next[0].job_id, "film/hi/dub/0001");
    assert_string_equal(job_text(queue, "film/hi/dub/0002", "artifact"), "c");
    assert_ok(queue_finish_many(queue, &options, held, results, 3, refusals, next, 3, &count, &err), err);
    assert_int_equal(refusals[0].code, ERR_NONE);
    assert_int_equal(refusals[1].code, ERR_QUEUE_STALE);
    assert_int_equal(count, 0);
    _cleanup_json_ json_t *totals = queue_totals(queue, &err);
    assert_int_equal(json_get_integer(json_object_get(totals, "jobs_done"), "dub", 0), 2);
    assert_int_equal(drain(queue, "hi", 5), 0); /* all of them are held, and the join waits */
}

/* As a track does whose segment is looped under hours of speech: all its dubs are told to Redis in one command. */
static void test_a_job_brings_as_many_into_being_as_the_limit_allows(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    size_t count = (size_t)limit_most(LIMIT_CHILDREN);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim plan = claim_one(queue, "w1");
    struct job_spec first[] = {{.id = "film/track/0000"}, {.id = "film/hi/join", .waits_for = (int)count}};
    struct job_result planned = {.artifact = "p", .children = first, .child_count = ARRAY_LENGTH(first)};
    assert_ok(queue_finish(queue, "w1", &plan, &planned, &err), err);
    struct claim track = claim_one(queue, "w1");
    _cleanup_free_ struct job_spec *dubs = xnew_array(struct job_spec, count);
    for (size_t i = 0; i < count; i++) {
        dubs[i] = (struct job_spec){.next = "film/hi/join"};
        snprintf(dubs[i].id, sizeof dubs[i].id, "film/hi/dub/%04zu", i);
    }
    struct job_result tracked = {.artifact = "t", .children = dubs, .child_count = count};
    assert_ok(queue_finish(queue, "w1", &track, &tracked, &err), err);
    assert_string_equal(job_text(queue, dubs[count - 1].id, "state"), "ready");
    claim_job(queue, "w1", "film/hi/dub/0000");
}

static void test_a_worker_of_one_class_takes_no_other(void **state) {
    static const enum campaign_class urgent = CLASS_URGENT, batch = CLASS_BATCH;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct claim claim;
    size_t count;
    bool ready = true;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim_options options = all_pools("w1", 60000);
    options.only = &urgent;
    assert_ok(queue_claim(queue, &options, &claim, 1, &count, &err), err);
    assert_int_equal(count, 0);
    assert_ok(queue_wait(queue, &options, 10, &ready, &err), err);
    assert_false(ready);
    submit(queue, "hurry", CLASS_URGENT, "hi");
    options.only = &batch;
    assert_ok(queue_claim(queue, &options, &claim, 1, &count, &err), err);
    assert_string_equal(claim.job_id, "film/plan");
    struct job_result result = {.artifact = ""};
    assert_ok(queue_finish_and_claim(queue, &options, &claim, &result, &claim, 1, &count, &err), err);
    assert_int_equal(count, 0);
    options.only = &urgent;
    assert_ok(queue_claim(queue, &options, &claim, 1, &count, &err), err);
    assert_string_equal(claim.job_id, "hurry/plan");
}

/* The record of a queued job stays in Redis' packed form. */
static void test_queued_jobs_are_packed(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "a-campaign-with-a-rather-long-name-0123456789", CLASS_BATCH, "zh-Hant-TW", 2);
    redisReply *reply = redis_fixture_command(
        *state, "OBJECT ENCODING {mela}:job:a-campaign-with-a-rather-long-name-0123456789/zh-Hant-TW/dub/0001");
    assert_true(strcmp(reply->str, "listpack") == 0 || strcmp(reply->str, "ziplist") == 0);
    freeReplyObject(reply);
}

static void test_a_child_that_leads_nowhere_is_refused_whole(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim plan = claim_one(queue, "w1");
    struct job_spec children[] = {job_spec("film/track/0000", 0, ""), job_spec("film/hi/dub/0000", 0, "film/hi/join")};
    struct job_result result = {.artifact = "a", .children = children, .child_count = 2};
    assert_code(queue_finish(queue, "w1", &plan, &result, &err), ERR_QUEUE_STATE, err);
    assert_job_state(queue, "film/plan", "leased");
    assert_code(queue_job(queue, "film/track/0000", &err), ERR_QUEUE_NOT_FOUND, err);
    children[1] = job_spec("other/hi/join", 0, "");
    assert_code(queue_finish(queue, "w1", &plan, &result, &err), ERR_INTERNAL, err);
}

static void test_a_job_that_runs_too_long_is_told_so(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    freeReplyObject(redis_fixture_command(*state, "HSET {mela}:job:film/plan claimed 1"));
    assert_code(queue_heartbeat(queue, "w1", &claim, 60000, NULL, &err), ERR_JOB_TIMEOUT, err);
    fail_with(queue, "w1", &claim, err.code);
    assert_job_state(queue, "film/plan", "delayed");
}

static void test_bad_names_are_refused(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    size_t count;
    struct claim claim;
    struct claim_options options = all_pools("a \"worker\"", 1000);
    assert_code(queue_claim(queue, &options, &claim, 1, &count, &err), ERR_USAGE, err);
    assert_code(queue_job(queue, "film/../plan", &err), ERR_QUEUE_NOT_FOUND, err);
    assert_code(queue_job(queue, "film/plan", &err), ERR_QUEUE_NOT_FOUND, err);
    assert_code(queue_retry(queue, "nothing", &err), ERR_QUEUE_NOT_FOUND, err);
    assert_code(queue_cancel(queue, "film", &err), ERR_QUEUE_NOT_FOUND, err);
    assert_code(queue_campaign(queue, "*", &err), ERR_QUEUE_NOT_FOUND, err);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_campaign_runs_to_its_end),
        cmocka_unit_test(test_a_join_waits_for_its_last_dub),
        cmocka_unit_test(test_the_same_submission_twice_is_one),
        cmocka_unit_test(test_a_stale_worker_is_refused),
        cmocka_unit_test(test_a_claim_of_before_a_wipe_is_refused),
        cmocka_unit_test(test_a_repeated_finish_succeeds_and_changes_nothing),
        cmocka_unit_test(test_a_finish_claims_the_next_job_but_not_twice),
        cmocka_unit_test(test_a_heartbeat_keeps_the_lease),
        cmocka_unit_test(test_an_expired_lease_goes_to_another_worker),
        cmocka_unit_test(test_a_job_that_loses_three_workers_dies),
        cmocka_unit_test(test_a_worker_that_keeps_its_name_cannot_crash_for_ever),
        cmocka_unit_test(test_errors_are_retried_with_delay_then_kill),
        cmocka_unit_test(test_a_permanent_error_kills_at_once),
        cmocka_unit_test(test_a_job_that_comes_back_keeps_its_place),
        cmocka_unit_test(test_a_release_is_neither_error_nor_crash),
        cmocka_unit_test(test_a_large_campaign_cannot_starve_a_small_one),
        cmocka_unit_test(test_urgent_passes_batch),
        cmocka_unit_test(test_a_worker_takes_its_own_pools_only_and_several_at_once),
        cmocka_unit_test(test_several_finishes_in_one_call_stand_by_themselves),
        cmocka_unit_test(test_a_job_brings_as_many_into_being_as_the_limit_allows),
        cmocka_unit_test(test_a_worker_of_one_class_takes_no_other),
        cmocka_unit_test(test_queued_jobs_are_packed),
        cmocka_unit_test(test_a_child_that_leads_nowhere_is_refused_whole),
        cmocka_unit_test(test_a_job_that_runs_too_long_is_told_so),
        cmocka_unit_test(test_bad_names_are_refused),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
