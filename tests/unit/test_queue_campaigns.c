/* How campaigns end and come back, and everything that is read. */
#include "queue_fixture.h"

#include "base/process.h"

/* Claims until it is this job's turn, and fails it for good. */
static void kill_job(struct queue *queue, const char *id) {
    struct claim claim = claim_one(queue, "killer");
    assert_string_equal(claim.job_id, id);
    fail_with(queue, "killer", &claim, ERR_MEDIA_CORRUPT);
    assert_job_state(queue, id, "dead");
}

static void test_a_dead_dub_ends_its_language_only(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi ta", 2);
    kill_job(queue, "film/hi/dub/0000");
    assert_job_state(queue, "film/hi/dub/0001", "cancelled");
    assert_job_state(queue, "film/hi/join", "cancelled");
    assert_string_equal(campaign_state(queue, "film"), "running");
    assert_int_equal(drain(queue, "hi ta", 2), 3);
    assert_string_equal(campaign_state(queue, "film"), "partial");
    _cleanup_json_ json_t *campaign = queue_campaign(queue, "film", &err);
    const json_t *hi = json_array_get(json_object_get(campaign, "languages"), 0);
    assert_string_equal(json_get_string(hi, "state", ""), "failed");
    assert_string_equal(json_get_string(hi, "job", ""), "film/hi/dub/0000");
    assert_string_equal(json_get_string(json_object_get(hi, "error"), "code", ""), "media.corrupt");
    assert_string_equal(language_state(queue, "film", 1), "done");
    assert_idle(queue);
}

static void test_a_campaign_without_a_language_left_has_failed(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim plan = claim_one(queue, "w1");
    finish(queue, "w1", &plan, "hi", 3);
    struct claim track = claim_job(queue, "w1", "film/track/0000");
    finish(queue, "w1", &track, "hi", 3);
    /* Two tracks are left, which nobody needs once the only language is dead. */
    struct claim running = claim_job(queue, "w2", "film/track/0001");
    claim_job(queue, "w2", "film/track/0002");
    kill_job(queue, "film/hi/dub/0000");
    struct error err;
    assert_string_equal(campaign_state(queue, "film"), "failed");
    assert_code(queue_heartbeat(queue, "w2", &running, 1000, NULL, &err), ERR_CANCELLED, err);
    assert_idle(queue);

    assert_ok(queue_retry(queue, "film/hi/dub/0000", &err), err);
    assert_string_equal(campaign_state(queue, "film"), "running");
    assert_code(queue_heartbeat(queue, "w2", &running, 1000, NULL, &err), ERR_QUEUE_STALE, err);
    assert_int_equal(drain(queue, "hi", 3), 2 + 3 + 1);
    assert_string_equal(campaign_state(queue, "film"), "done");
}

static void test_a_dead_track_ends_the_campaign(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi ta");
    struct claim plan = claim_one(queue, "w1");
    finish(queue, "w1", &plan, "hi ta", 2);
    kill_job(queue, "film/track/0000");
    assert_string_equal(campaign_state(queue, "film"), "failed");
    assert_string_equal(language_state(queue, "film", 1), "failed");
    assert_job_state(queue, "film/ta/join", "cancelled");
    assert_idle(queue);

    assert_ok(queue_retry(queue, "film/track/0000", &err), err);
    assert_job_state(queue, "film/ta/join", "waiting");
    assert_int_equal(drain(queue, "hi ta", 2), 2 + 4 + 2);
    assert_string_equal(campaign_state(queue, "film"), "done");
    _cleanup_json_ json_t *dead = queue_dead(queue, NULL, 10, &err);
    assert_int_equal(json_array_size(json_object_get(dead, "items")), 0);
}

/* While a language is dead, tracks still bring its dubs into being: they wait for the retry like the others.
 */
static void test_a_retry_revives_what_came_after_the_death_too(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi ta");
    struct claim plan = claim_one(queue, "w1");
    finish(queue, "w1", &plan, "hi ta", 2);
    struct claim first = claim_job(queue, "w1", "film/track/0000"), second = claim_job(queue, "w2", "film/track/0001");
    finish(queue, "w1", &first, "hi ta", 2);
    kill_job(queue, "film/hi/dub/0000");
    finish(queue, "w2", &second, "hi ta", 2);
    assert_job_state(queue, "film/hi/dub/0001", "cancelled");
    assert_job_state(queue, "film/ta/dub/0001", "ready");
    assert_int_equal(drain(queue, "hi ta", 2), 3);
    assert_string_equal(campaign_state(queue, "film"), "partial");

    assert_ok(queue_retry(queue, "film/hi/dub/0000", &err), err);
    assert_int_equal(job_number(queue, "film/hi/dub/0000", "errors"), 0);
    assert_int_equal(drain(queue, "hi ta", 2), 3);
    assert_string_equal(campaign_state(queue, "film"), "done");
    assert_code(queue_retry(queue, "film/hi/dub/0000", &err), ERR_QUEUE_STATE, err);
}

static void test_the_death_that_ended_the_campaign_is_retried_first(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi ta", 1);
    kill_job(queue, "film/hi/dub/0000");
    kill_job(queue, "film/ta/dub/0000");
    assert_string_equal(campaign_state(queue, "film"), "failed");
    assert_code(queue_retry(queue, "film/hi/dub/0000", &err), ERR_QUEUE_STATE, err);
    assert_non_null(strstr(err.message, "film/ta/dub/0000"));
    assert_ok(queue_retry(queue, "film/ta/dub/0000", &err), err);
    assert_ok(queue_retry(queue, "film/hi/dub/0000", &err), err);
    assert_int_equal(drain(queue, "hi ta", 1), 4);
    assert_string_equal(campaign_state(queue, "film"), "done");
}

static void test_cancel_reaches_jobs_in_every_state(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 3);
    struct claim leased = claim_job(queue, "w1", "film/hi/dub/0000"), delayed = claim_one(queue, "w2"), none;
    fail_with(queue, "w2", &delayed, ERR_STORE_UNAVAILABLE);
    assert_ok(queue_cancel(queue, "film", &err), err);
    assert_ok(queue_cancel(queue, "film", &err), err);
    assert_code(queue_heartbeat(queue, "w1", &leased, 1000, NULL, &err), ERR_CANCELLED, err);
    assert_code(finish_shaped(queue, "w1", &leased, "hi", 3, &err), ERR_CANCELLED, err);
    assert_string_equal(campaign_state(queue, "film"), "cancelled");
    assert_string_equal(language_state(queue, "film", 0), "cancelled");
    clock_sleep_ms(clock_system(), 5);
    assert_false(claim_for(queue, "w2", 1000, &none));
    _cleanup_json_ json_t *campaign = queue_campaign(queue, "film", &err);
    assert_int_equal(json_get_integer(json_object_get(campaign, "jobs"), "cancelled", 0), 4);
    assert_int_equal(json_get_integer(json_object_get(campaign, "jobs"), "done", 0), 4);
    assert_idle(queue);
}

static void test_a_finished_campaign_cannot_be_cancelled(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    drain(queue, "hi", 1);
    assert_code(queue_cancel(queue, "film", &err), ERR_QUEUE_STATE, err);
}

static void test_finished_campaigns_are_removed_whole(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    static const char languages[] = "as bn en gu hi kn ml mr or pa ta ur";
    submit(queue, "film", CLASS_BATCH, languages);
    assert_int_equal(drain(queue, languages, 1), 1 + 1 + 12 + 12);
    submit_to_dubs(queue, "bad", CLASS_BATCH, "hi", 1);
    kill_job(queue, "bad/hi/dub/0000");
    submit(queue, "open", CLASS_BATCH, "hi");
    bool more = true;
    assert_ok(queue_sweep(queue, 1000000, &more, &err), err);
    assert_false(more);
    clock_sleep_ms(clock_system(), 2);
    assert_ok(queue_sweep(queue, 0, &more, &err), err);
    struct dub dub = {.language = (char *)"hi"};
    struct campaign again = {.id = (char *)"film", .name = (char *)"A name", .dubs = &dub, .dub_count = 1};
    bool created;
    assert_code(queue_submit(queue, &again, SPEC_SHA, &created, &err), ERR_QUEUE_UNAVAILABLE, err);
    int pieces = 1;
    for (more = true; more; pieces++)
        assert_ok(queue_sweep(queue, 0, &more, &err), err);
    assert_in_range(pieces, 4, 6); /* 26 buckets of jobs, 10 at once; then 4; then nothing */
    assert_code(queue_campaign(queue, "film", &err), ERR_QUEUE_NOT_FOUND, err);
    assert_code(queue_jobs(queue, "bad", NULL, 10, &err), ERR_QUEUE_NOT_FOUND, err);
    redisReply *left = redis_fixture_command(*state, "KEYS *film*");
    assert_int_equal(left->elements, 0);
    freeReplyObject(left);
    left = redis_fixture_command(*state, "KEYS *bad*");
    assert_int_equal(left->elements, 0);
    freeReplyObject(left);
    assert_int_equal(redis_fixture_integer(*state, "ZCARD {mela}:dead"), 0);
    claim_job(queue, "w1", "open/plan");
    submit(queue, "film", CLASS_BATCH, "hi");
}

static void test_the_dead_list_is_bounded(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    freeReplyObject(redis_fixture_command(*state, "EVAL %s 0",
                                          "for i = 1, 1000 do redis.call('ZADD', '{mela}:dead', i, 'old/' .. i) end"));
    submit(queue, "film", CLASS_BATCH, "hi");
    kill_job(queue, "film/plan");
    assert_int_equal(redis_fixture_integer(*state, "ZCARD {mela}:dead"), 1000);
    redisReply *latest = redis_fixture_command(*state, "ZREVRANGE {mela}:dead 0 0");
    assert_string_equal(latest->element[0]->str, "film/plan");
    freeReplyObject(latest);
}

static void test_event_streams_are_bounded(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 1000);
    assert_true(redis_fixture_integer(*state, "XLEN {mela}:campaign:film:events") < 1200);
    freeReplyObject(redis_fixture_command(
        *state, "EVAL %s 0", "for i = 1, 12000 do redis.call('XADD', '{mela}:events', '*', 'a', 'b') end"));
    for (int i = 0; redis_fixture_integer(*state, "XLEN {mela}:events") >= 10200; i++) { /* one call in 16 cuts */
        assert_true(i < 1000);
        char id[16];
        snprintf(id, sizeof id, "next-%d", i);
        submit(queue, id, CLASS_BATCH, "hi");
    }
}

static void test_dead_workers_are_swept(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    bool more;
    _cleanup_json_ json_t *info = json_object();
    assert_ok(queue_worker_beat(queue, "killed", info, 60000, &err), err);
    freeReplyObject(redis_fixture_command(*state, "DEL {mela}:worker:killed")); /* as if its time to live were over */
    assert_ok(queue_worker_beat(queue, "w1", info, 60000, &err), err);
    assert_ok(queue_sweep(queue, INT32_MAX, &more, &err), err);
    assert_int_equal(redis_fixture_integer(*state, "ZCARD {mela}:workers"), 1);
    _cleanup_json_ json_t *history = queue_worker_history(queue, 0, &err);
    assert_ok(history, err);
    assert_int_equal(json_array_size(history), 2);
    assert_string_equal(json_get_string(json_array_get(history, 0), "id", ""), "killed");
    assert_true(json_get_bool(json_array_get(history, 0), "lost", false));
    assert_false(json_get_bool(json_array_get(history, 1), "lost", true));
}

/* Pages through a listing; returns the ids with spaces between. Caller frees. */
static char *ids_of(struct queue *queue, json_t *(*list)(struct queue *, const char *, int, struct error *)) {
    struct error err;
    _cleanup_buffer_ struct buffer ids = {0};
    _cleanup_free_ char *cursor = NULL;
    do {
        _cleanup_json_ json_t *page = list(queue, cursor, 2, &err);
        assert_ok(page, err);
        assert_true(json_array_size(json_object_get(page, "items")) <= 2);
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(page, "items"), i, item)
            buffer_appendf(&ids, "%s ", json_get_string(item, "id", "?"));
        free(cursor);
        cursor = xstrdup(json_get_string(page, "next", NULL));
    } while (cursor);
    return buffer_steal(&ids);
}

static void test_a_malformed_cursor_is_refused(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    static const char *const wrong[] = {"", "film", "/film", "12", "12/", "-1/film", "1e3/film"};
    submit(queue, "film", CLASS_BATCH, "hi");
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_null(queue_campaigns(queue, wrong[i], 2, &err));
        assert_int_equal(err.code, ERR_API_BAD_REQUEST);
        assert_null(queue_dead(queue, wrong[i], 2, &err));
        assert_int_equal(err.code, ERR_API_BAD_REQUEST);
    }
}

static json_t *film_jobs(struct queue *queue, const char *cursor, int limit, struct error *err) {
    return queue_jobs(queue, "film", cursor, limit, err);
}

static void test_listings_have_cursors(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    _cleanup_free_ char *none = ids_of(queue, queue_campaigns);
    assert_string_equal(none, "");
    static const char *const names[] = {"a", "b", "c", "film"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        submit(queue, names[i], CLASS_BATCH, "hi");
        clock_sleep_ms(clock_system(), 2);
    }
    for (size_t i = 0; i < 3; i++) {
        struct claim claim = claim_one(queue, "w1");
        fail_with(queue, "w1", &claim, ERR_MEDIA_EMPTY);
        clock_sleep_ms(clock_system(), 2);
    }
    struct claim plan = claim_job(queue, "w1", "film/plan");
    finish(queue, "w1", &plan, "hi", 2);
    _cleanup_free_ char *campaigns = ids_of(queue, queue_campaigns);
    assert_string_equal(campaigns, "film c b a ");
    _cleanup_free_ char *jobs = ids_of(queue, film_jobs);
    assert_string_equal(jobs, "film/hi/join film/plan film/track/0000 film/track/0001 ");
    _cleanup_free_ char *dead = ids_of(queue, queue_dead);
    assert_string_equal(dead, "c/plan b/plan a/plan ");
}

static void test_a_long_listing_is_in_order_and_complete(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi pt-BR", 250);
    _cleanup_free_ char *cursor = NULL;
    char last[JOB_ID_MAX + 1] = "";
    size_t seen = 0;
    do {
        _cleanup_json_ json_t *page = queue_jobs(queue, "film", cursor, 37, &err);
        assert_ok(page, err);
        size_t i;
        json_t *job;
        json_array_foreach (json_object_get(page, "items"), i, job) {
            const char *id = json_get_string(job, "id", "");
            assert_true(strcmp(last, id) < 0);
            snprintf(last, sizeof last, "%s", id);
        }
        seen += i;
        free(cursor);
        cursor = xstrdup(json_get_string(page, "next", NULL));
    } while (cursor);
    assert_int_equal(seen, 1 + 250 + 500 + 2);
}

static void test_artifacts_of_many_jobs(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 2);
    struct claim claim = claim_one(queue, "w1");
    finish(queue, "w1", &claim, "hi", 2);
    static const char *const ids[] = {"film/hi/dub/0001", "film/hi/dub/0000", "film/track/0001"};
    _cleanup_json_ json_t *artifacts = queue_artifacts(queue, ids, 3, &err);
    assert_ok(artifacts, err);
    assert_true(json_is_null(json_array_get(artifacts, 0)));
    assert_memory_equal(json_string_value(json_array_get(artifacts, 1)), "campaigns/film/hi/0000.1-", 25);
    assert_memory_equal(json_string_value(json_array_get(artifacts, 2)), "campaigns/film/track/0001.1-", 28);
}

static void test_events_tell_what_happened(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    _cleanup_json_ json_t *progress = json_pack("{s:i}", "frames", 1);
    assert_ok(queue_heartbeat(queue, "w1", &claim, 60000, progress, &err), err);
    /* As if it had been told a moment ago, however slow this machine is. */
    freeReplyObject(redis_fixture_command(*state, "HSET {mela}:job:film/plan told 9000000000000"));
    assert_ok(queue_heartbeat(queue, "w1", &claim, 60000, progress, &err), err);
    _cleanup_json_ json_t *events = queue_events(queue, "film", "0", 0, 100, &err);
    assert_ok(events, err);
    /* The campaign, the claim, and one of the two reports of progress. */
    assert_int_equal(json_array_size(events), 3);
    assert_string_equal(json_get_string(json_array_get(events, 0), "type", ""), "campaign");
    const json_t *leased = json_object_get(json_array_get(events, 1), "data");
    assert_string_equal(json_get_string(leased, "id", ""), "film/plan");
    assert_string_equal(json_get_string(leased, "state", ""), "leased");
    assert_string_equal(json_get_string(leased, "worker", ""), "w1");
    const json_t *told = json_object_get(json_array_get(events, 2), "data");
    assert_int_equal(json_get_integer(json_object_get(told, "progress"), "frames", 0), 1);

    const char *last = json_get_string(json_array_get(events, 2), "id", "");
    clock_sleep_ms(clock_system(), 2); /* ids of two streams are comparable by their milliseconds only */
    finish(queue, "w1", &claim, "hi", 1);
    _cleanup_json_ json_t *after = queue_events(queue, NULL, last, 60000, 100, &err);
    assert_ok(after, err);
    const json_t *done = json_object_get(json_array_get(after, 0), "data");
    _cleanup_json_ json_t *nothing = queue_events(queue, "film", "$", 10, 100, &err);
    assert_ok(nothing, err);
    assert_int_equal(json_array_size(nothing), 0);
    assert_non_null(done);
    _cleanup_json_ json_t *page = queue_events(queue, "film", "0", 0, 2, &err);
    assert_int_equal(json_array_size(page), 2);
}

static void test_workers_are_forgotten_when_silent(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    _cleanup_json_ json_t *info = json_pack("{s:s, s:i}", "host", "gpu-1", "pid", 12);
    assert_ok(queue_worker_beat(queue, "w1", info, 60000, &err), err);
    assert_ok(queue_worker_beat(queue, "w2", info, 1, &err), err);
    assert_ok(queue_worker_beat(queue, "w3", info, 60000, &err), err);
    assert_ok(queue_worker_gone(queue, "w3", &err), err);
    clock_sleep_ms(clock_system(), 5);
    _cleanup_json_ json_t *workers = queue_workers(queue, &err);
    assert_ok(workers, err);
    assert_int_equal(json_array_size(workers), 1);
    assert_string_equal(json_get_string(json_array_get(workers, 0), "id", ""), "w1");
    assert_string_equal(json_get_string(json_array_get(workers, 0), "host", ""), "gpu-1");
    assert_true(json_get_integer(json_array_get(workers, 0), "seen_ms", 0) > 0);
}

static void assert_was(const json_t *worker, const char *id, bool gone, bool lost) {
    assert_string_equal(json_get_string(worker, "id", ""), id);
    int64_t came = json_get_integer(worker, "came_ms", 0);
    assert_true(came > 0);
    assert_true(gone ? json_get_integer(worker, "gone_ms", 0) >= came
                     : json_is_null(json_object_get(worker, "gone_ms")));
    assert_int_equal(json_is_true(json_object_get(worker, "lost")), lost);
}

static void test_who_came_and_went_is_remembered(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    _cleanup_json_ json_t *info = json_object();
    for (int i = 0; i < 2; i++) {
        assert_ok(queue_worker_beat(queue, "w1", info, 60000, &err), err);
        assert_ok(queue_worker_beat(queue, "w2", info, i ? 1 : 60000, &err), err);
        assert_ok(queue_worker_beat(queue, "w3", info, 60000, &err), err);
    }
    assert_ok(queue_worker_gone(queue, "w3", &err), err);
    assert_ok(queue_worker_gone(queue, "w3", &err), err);
    clock_sleep_ms(clock_system(), 5);
    _cleanup_json_ json_t *history = queue_worker_history(queue, 0, &err);
    assert_ok(history, err);
    assert_int_equal(json_array_size(history), 3);
    assert_was(json_array_get(history, 0), "w1", false, false);
    assert_was(json_array_get(history, 1), "w2", true, true);
    assert_was(json_array_get(history, 2), "w3", true, false);
    assert_ok(queue_worker_beat(queue, "w3", info, 60000, &err), err);
    int64_t later = clock_wall_ms(clock_system()) + 60000;
    _cleanup_json_ json_t *late = queue_worker_history(queue, later, &err);
    assert_ok(late, err);
    assert_int_equal(json_array_size(late), 2);
    assert_was(json_array_get(late, 0), "w1", false, false);
    assert_was(json_array_get(late, 1), "w3", false, false);
}

static void test_pools_are_counted_by_class(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 4);
    struct claim claim = claim_one(queue, "w1");
    claim_one(queue, "w1");
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    submit(queue, "rush", CLASS_URGENT, "hi");
    clock_sleep_ms(clock_system(), 5);
    struct pool_counts lipsync, cpu;
    assert_ok(queue_pool_counts(queue, POOL_LIPSYNC, 60000, &lipsync, &err), err);
    assert_ok(queue_pool_counts(queue, POOL_CPU, 60000, &cpu, &err), err);
    assert_int_equal(lipsync.ready[CLASS_BATCH], 2);
    assert_int_equal(lipsync.leased[CLASS_BATCH], 1);
    assert_int_equal(lipsync.delayed[CLASS_BATCH], 1);
    assert_int_equal(lipsync.ready[CLASS_URGENT], 0);
    assert_int_equal(cpu.ready[CLASS_URGENT], 1);
    assert_in_range(cpu.oldest_ready_ms, 5, 60000);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dead_dub_ends_its_language_only),
        cmocka_unit_test(test_a_campaign_without_a_language_left_has_failed),
        cmocka_unit_test(test_a_dead_track_ends_the_campaign),
        cmocka_unit_test(test_a_retry_revives_what_came_after_the_death_too),
        cmocka_unit_test(test_the_death_that_ended_the_campaign_is_retried_first),
        cmocka_unit_test(test_cancel_reaches_jobs_in_every_state),
        cmocka_unit_test(test_a_finished_campaign_cannot_be_cancelled),
        cmocka_unit_test(test_finished_campaigns_are_removed_whole),
        cmocka_unit_test(test_the_dead_list_is_bounded),
        cmocka_unit_test(test_event_streams_are_bounded),
        cmocka_unit_test(test_dead_workers_are_swept),
        cmocka_unit_test(test_a_malformed_cursor_is_refused),
        cmocka_unit_test(test_listings_have_cursors),
        cmocka_unit_test(test_a_long_listing_is_in_order_and_complete),
        cmocka_unit_test(test_artifacts_of_many_jobs),
        cmocka_unit_test(test_events_tell_what_happened),
        cmocka_unit_test(test_workers_are_forgotten_when_silent),
        cmocka_unit_test(test_who_came_and_went_is_remembered),
        cmocka_unit_test(test_pools_are_counted_by_class),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
