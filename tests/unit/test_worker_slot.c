/* A worker's slot against a real Redis: what becomes of a job that is claimed, or done, while the worker drains. */
#include "queue_fixture.h"

#include "base/digest.h"
#include "base/process.h"
#include "media/media.h"
#include "recover/receipt.h"
#include "store/input.h"
#include "worker/slot.h"

#define DUB "film/hi/dub/0000"

static struct queue_options queue_options_of(const struct redis_fixture *fixture) {
    return (struct queue_options){.url = fixture->url};
}

/* A worker of one slot, whose store is empty: a job that begins to run fails. */
struct one_slot {
    char *directory, *store_url;
    struct slot slot;
    struct worker worker;
    struct worker_options options;
};

static const enum pool pools[] = {POOL_LIPSYNC, POOL_CPU};

static void one_slot_open(struct one_slot *out, const struct redis_fixture *fixture) {
    struct error err;
    out->options =
        (struct worker_options){.queue = queue_options_of(fixture), .pools = pools, .pool_count = 2, .lease_ms = 60000};
    out->directory = directory_for_test();
    out->store_url = xasprintf("file://%s", out->directory);
    out->worker = (struct worker){.options = &out->options, .id = "w", .slots = &out->slot, .slot_count = 1};
    out->worker.store = store_open(out->store_url, NULL, &err);
    assert_ok(out->worker.store, err);
    out->worker.scratch = out->directory;
    pthread_mutex_init(&out->worker.claiming, NULL);
    out->slot = (struct slot){.worker = &out->worker, .queue = queue_open(&out->options.queue, &err)};
    assert_ok(out->slot.queue, err);
    pthread_mutex_init(&out->slot.lock, NULL);
}

static void one_slot_close(struct one_slot *one) {
    queue_close(one->slot.queue);
    store_close(one->worker.store);
    pthread_mutex_destroy(&one->slot.lock);
    pthread_mutex_destroy(&one->worker.claiming);
    tree_remove(one->directory);
    free(one->directory);
    free(one->store_url);
}

/* Claims the only dub and has the slot hold it. */
static struct claim begin_dub(struct one_slot *one) {
    submit_to_dubs(one->slot.queue, "film", CLASS_BATCH, "hi", 1);
    struct claim claim = claim_job(one->slot.queue, "w", DUB);
    slot_begin(&one->slot, &claim);
    return claim;
}

static void end_dub(struct one_slot *one, const struct claim *claim, bool done) {
    struct error failure;
    error_set(&failure, ERR_CANCELLED, "stopped");
    _cleanup_free_ char *artifact = layout_artifact(&claim->job, claim->stamp);
    _cleanup_work_result_ struct work_result result = {.report = json_pack("{s:i}", "frames", 24)};
    slot_end(&one->slot, done, artifact, &result, &failure, &(struct log){.worker = "w"});
    slot_clear(&one->slot);
}

/* Nothing says that it failed or crashed, and the next worker gets it. */
static void assert_released(struct queue *queue, const char *job) {
    assert_job_state(queue, job, "ready");
    assert_int_equal(job_number(queue, job, "errors"), 0);
    assert_int_equal(job_number(queue, job, "crashes"), 0);
    claim_job(queue, "another", job);
}

static void a_drained_job_is_released(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    slot_stop(&one.slot, STOP_DRAIN);
    assert_true(one.slot.cancel);
    end_dub(&one, &claim, false);
    assert_released(queue, DUB);
    one_slot_close(&one);
}

static void a_job_that_is_done_at_the_drains_deadline_is_finished(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    slot_stop(&one.slot, STOP_DRAIN);
    end_dub(&one, &claim, true);
    assert_job_state(queue, DUB, "done");
    assert_false(worker_is_busy(&one.worker));
    one_slot_close(&one);
}

static void a_done_job_that_is_not_ours_is_left_alone(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    slot_stop(&one.slot, STOP_LOST);
    slot_stop(&one.slot, STOP_DRAIN); /* the first reason stands */
    end_dub(&one, &claim, true);
    assert_job_state(queue, DUB, "leased");
    one_slot_close(&one);
}

static void write_text(struct store *store, const char *key, const char *text) {
    struct error err;
    assert_ok(store_put(store, key, text, strlen(text), 0, &err), err);
}

/* Another attempt, of before Redis lost the job, has settled what its artifact is, and others may have used it. */
static void what_a_receipt_names_is_published(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    _cleanup_free_ char *key = layout_receipt(&claim.job);
    write_text(one.worker.store, "campaigns/film/hi/0000.other.mp4", "x");
    write_text(one.worker.store, key, "{\"artifact\":\"campaigns/film/hi/0000.other.mp4\"}");
    end_dub(&one, &claim, true);
    assert_string_equal(job_text(queue, DUB, "artifact"), "campaigns/film/hi/0000.other.mp4");
    one_slot_close(&one);
}

static void a_receipt_whose_artifact_is_gone_is_written_anew(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    _cleanup_free_ char *key = layout_receipt(&claim.job), *artifact = layout_artifact(&claim.job, claim.stamp);
    write_text(one.worker.store, key, "{\"artifact\":\"campaigns/film/hi/0000.gone.mp4\"}");
    write_text(one.worker.store, artifact, "x");
    end_dub(&one, &claim, true);
    assert_string_equal(job_text(queue, DUB, "artifact"), artifact);
    struct receipt receipt;
    struct error err;
    bool found;
    assert_ok(receipt_read(one.worker.store, &claim.job, &receipt, &found, &err) && found, err);
    assert_string_equal(receipt.artifact, artifact);
    receipt_clear(&receipt);
    one_slot_close(&one);
}

/* What the store does not remember is not published. */
static void a_job_whose_receipt_cannot_be_written_fails(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    write_text(one.worker.store, "campaigns/film/receipts", "a file where the folder would be");
    end_dub(&one, &claim, true);
    assert_int_equal(job_number(queue, DUB, "errors"), 1);
    one_slot_close(&one);
}

static void a_failed_job_fails(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    one_slot_open(&one, *state);
    struct claim claim = begin_dub(&one);
    end_dub(&one, &claim, false);
    assert_int_equal(job_number(queue, DUB, "errors"), 1);
    one_slot_close(&one);
}

/* Whether a client waits in a command that Redis has put off. */
static bool a_command_waits(const struct redis_fixture *fixture) {
    redisReply *reply = redis_fixture_command(fixture, "CLIENT LIST");
    bool waits = reply->type == REDIS_REPLY_STRING && strstr(reply->str, " flags=b");
    freeReplyObject(reply);
    return waits;
}

/* Redis puts the claim off until the drain has begun, as a slow network would. */
static void a_claim_that_comes_after_the_drain_began_is_released(void **state) {
    const struct redis_fixture *fixture = *state;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(fixture);
    struct one_slot one;
    one_slot_open(&one, fixture);
    submit(queue, "late", CLASS_URGENT, "hi");
    freeReplyObject(redis_fixture_command(fixture, "CLIENT PAUSE 60000 WRITE"));
    assert_int_equal(pthread_create(&one.slot.thread, NULL, slot_thread, &one.slot), 0);
    for (int i = 0; i < 1000 && !a_command_waits(fixture); i++)
        clock_sleep_ms(clock_system(), 2);
    assert_true(a_command_waits(fixture));
    atomic_store(&one.worker.vitals.draining, true);
    assert_false(worker_is_busy(&one.worker)); /* so that no drain would stop it */
    freeReplyObject(redis_fixture_command(fixture, "CLIENT UNPAUSE"));
    pthread_join(one.slot.thread, NULL);
    assert_int_equal(job_number(queue, "late/plan", "attempt"), 1);
    assert_released(queue, "late/plan");
    one_slot_close(&one);
}

/* Puts a file into the store as an upload does; its URI, which the caller frees. */
static char *upload(struct store *store, const char *path) {
    struct error err;
    char hex[SHA256_HEX + 1];
    assert_ok(sha256_file(path, hex, NULL, &err), err);
    _cleanup_free_ char *key = layout_file(hex);
    assert_ok(store_put_file(store, key, path, 0, &err), err);
    return xasprintf("sha256:%s", hex);
}

/* Stores the spec of "film" over a film and a speech that setup fetched. */
static void store_film(struct store *store) {
    _cleanup_free_ char *video = upload(store, SOURCE_ROOT "/.deps/media/cap13_edit2.mp4");
    _cleanup_free_ char *speech = upload(store, SOURCE_ROOT "/.deps/media/demo/hi.wav");
    _cleanup_json_ json_t *spec =
        json_pack("{s:s,s:s,s:[{s:s,s:s}]}", "name", "film", "video", video, "dubs", "language", "hi", "audio", speech);
    _cleanup_free_ char *text = json_line(spec), *key = layout_spec("film");
    write_text(store, key, text);
}

/* The slot's thread runs until the job is done. */
static void run_until_done(struct one_slot *one, struct queue *queue, const char *job) {
    assert_int_equal(pthread_create(&one->slot.thread, NULL, slot_thread, &one->slot), 0);
    for (int i = 0; i < 6000 && strcmp(job_text(queue, job, "state"), "done") != 0; i++)
        clock_sleep_ms(clock_system(), 10);
    atomic_store(&one->worker.vitals.draining, true);
    pthread_join(one->slot.thread, NULL);
    assert_job_state(queue, job, "done");
}

#define EARLIER_PLAN                                                                                                   \
    "{\"version\":1,\"size\":[400,300],\"time_base\":[1,25],\"rate\":[25,1],\"frames\":75,\"end_pts\":75,"             \
    "\"segments\":[[0,25,0,25],[25,50,25,75]],\"shots\":[0],\"languages\":[{\"language\":\"hi\",\"speech_seconds\":3." \
    "0,"                                                                                                               \
    "\"end_pts\":75,\"outputs\":[[0,25,false,0],[1,50,false,25]]}]}"

/* Its jobs may be running. Only the pool cpu is served, so what it brings into being stays as it is. */
static void a_plan_that_is_stored_already_is_the_one_that_counts(void **state) {
    static const enum pool cpu = POOL_CPU;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct one_slot one;
    struct error err;
    one_slot_open(&one, *state);
    one.options.pools = &cpu;
    one.options.pool_count = 1;
    _cleanup_free_ char *cache = xasprintf("%s/cache", one.directory);
    one.worker.cache = cache_open(cache, 1 << 30, &err);
    assert_ok(one.worker.cache, err);
    store_film(one.worker.store);
    write_text(one.worker.store, "campaigns/film/plan.json", EARLIER_PLAN);
    submit(queue, "film", CLASS_BATCH, "hi");
    run_until_done(&one, queue, "film/plan");
    assert_string_equal(job_text(queue, "film/plan", "artifact"), "campaigns/film/plan.json");
    assert_job_state(queue, "film/track/0001", "ready");
    assert_null(queue_job(queue, "film/track/0002", &err)); /* as the film's own plan would have */
    _cleanup_buffer_ struct buffer speech = {0};
    assert_ok(store_get(one.worker.store, "campaigns/film/hi/speech.pcm", 1 << 26, &speech, &err), err);
    assert_true(speech.length > 0 && speech.length % sizeof(int16_t) == 0);
    campaign_free(one.slot.campaign);
    plan_free(one.slot.plan);
    cache_close(one.worker.cache);
    one_slot_close(&one);
}

int main(void) {
    process_begin();
    media_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drained_job_is_released),
        cmocka_unit_test(a_job_that_is_done_at_the_drains_deadline_is_finished),
        cmocka_unit_test(a_done_job_that_is_not_ours_is_left_alone),
        cmocka_unit_test(what_a_receipt_names_is_published),
        cmocka_unit_test(a_receipt_whose_artifact_is_gone_is_written_anew),
        cmocka_unit_test(a_job_whose_receipt_cannot_be_written_fails),
        cmocka_unit_test(a_failed_job_fails),
        cmocka_unit_test(a_claim_that_comes_after_the_drain_began_is_released),
        cmocka_unit_test(a_plan_that_is_stored_already_is_the_one_that_counts),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
