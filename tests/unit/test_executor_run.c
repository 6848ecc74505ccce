/* Jobs of every kind through the one function that runs them, with the real film, store and networks. */
#include "job_fixture.h"

#include <unistd.h>

#define PLAN_KEY "campaigns/c/plan.json"
#define TRACK_KEY "campaigns/c/track/0000.1-0.trk"
#define DUB_KEY "campaigns/c/hi/0000.1-0.mp4"
#define FINAL_KEY "campaigns/c/hi/final.1-0.mp4"

static void assert_absent(struct job_fixture *fixture, const char *key) {
    struct error err;
    struct store_stat stat;
    assert_code(store_head(fixture->store, key, &stat, &err), ERR_STORE_NOT_FOUND, err);
}

/* The job fails with this code and text, and neither a result nor an artifact is there. */
static void assert_fails(struct job_fixture *fixture, enum error_code wanted, const char *text) {
    struct error err;
    struct work_result result = {.report = (json_t *)1, .plan = (struct plan *)1}; /* whatever was there */
    assert_error(executor_run_job(&fixture->context, &result, &err), wanted, text, err);
    assert_null(result.report);
    assert_null(result.plan);
    assert_absent(fixture, fixture->context.artifact);
}

/* Does the job, whose artifact must be what the report says. The caller frees the result. */
static struct work_result run_job(struct job_fixture *fixture, const char *id, const char *key) {
    struct error err;
    struct work_result result;
    job_choose(fixture, id, key);
    assert_ok(executor_run_job(&fixture->context, &result, &err), err);
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_ok(store_get(fixture->store, key, 64 << 20, &bytes, &err), err);
    if (!result.plan) {
        char hex[SHA256_HEX + 1];
        unsigned char hash[SHA256_BYTES];
        sha256_of(bytes.data, bytes.length, hash);
        hex_encode(hash, sizeof hash, hex);
        assert_string_equal(json_get_string(result.report, "sha256", ""), hex);
        assert_int_equal(json_get_integer(result.report, "bytes", 0), bytes.length);
    }
    assert_non_null(json_object_get(result.report, "steps_ms"));
    assert_int_equal(json_get_integer(result.report, "gpu_ms", -1), 0);
    return result;
}

static struct models *load_models(void) {
    static const enum pool pools[] = {POOL_LIPSYNC};
    struct models_options options = {.manifests = SOURCE_ROOT "/models",
                                     .directory = SOURCE_ROOT "/.deps/models",
                                     .device = {.kind = DEVICE_CPU, .threads = 2}};
    struct error err;
    struct models *models = models_load(&options, pools, 1, &err);
    assert_ok(models, err);
    return models;
}

/* One second of speech over the first second of the film, from its plan to the dubbed video. */
static void a_campaign_is_done_job_by_job(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    _cleanup_models_ struct models *models = load_models();
    _cleanup_gate_ struct gate *gate = gate_new();
    _cleanup_free_ char *video = job_upload(fixture, MASTER), *speech = job_speech(fixture);
    job_campaign(fixture, video, speech);
    fixture->context.models = models;
    fixture->context.gate = gate;
    _cleanup_work_result_ struct work_result planned = run_job(fixture, "c/plan", PLAN_KEY);
    assert_int_equal(planned.plan->frame_count, 765);
    assert_int_equal(planned.plan->languages[0].output_count, 1);
    assert_int_equal(json_get_integer(planned.report, "frames", 0), 765);
    assert_int_equal(atomic_load(&fixture->progress.frames), 765);
    fixture->context.plan = planned.plan;
    int64_t frames = planned.plan->segments[0].frames;
    _cleanup_work_result_ struct work_result tracked = run_job(fixture, "c/track/0000", TRACK_KEY);
    assert_int_equal(json_get_integer(tracked.report, "frames", 0), frames);
    assert_int_equal(json_array_size(json_object_get(tracked.report, "faceless")), 0);
    fixture->context.inputs = (const char *const[]){TRACK_KEY};
    fixture->context.input_count = 1;
    _cleanup_work_result_ struct work_result dubbed = run_job(fixture, "c/hi/dub/0000", DUB_KEY);
    assert_int_equal(json_get_integer(dubbed.report, "frames", 0), planned.plan->languages[0].outputs[0].frames);
    fixture->context.inputs = (const char *const[]){DUB_KEY};
    _cleanup_work_result_ struct work_result joined = run_job(fixture, "c/hi/join", FINAL_KEY);
    _cleanup_free_ char *path = xasprintf("%s/dubbed.mp4", fixture->directory);
    assert_ok(store_get_file(fixture->store, FINAL_KEY, path, &err), err);
    _cleanup_video_reader_ struct video_reader *reader = video_open(path, 1, &err);
    assert_ok(reader, err);
    assert_int_equal(video_reader_info(reader)->width, 400);
    assert_true(video_reader_info(reader)->has_audio);
}

static void second_plan_is_the_first_one(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_free_ char *video = job_upload(fixture, MASTER), *speech = job_speech(fixture);
    job_campaign(fixture, video, speech);
    _cleanup_work_result_ struct work_result first = run_job(fixture, "c/plan", PLAN_KEY);
    fixture->campaign->options.segment_seconds = 7; /* would make another plan */
    _cleanup_work_result_ struct work_result second = run_job(fixture, "c/plan", PLAN_KEY);
    assert_int_equal(second.plan->segment_count, first.plan->segment_count);
}

static void cancelled_job_leaves_nothing(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_gate_ struct gate *gate = gate_new();
    _cleanup_free_ char *video = job_upload(fixture, MASTER), *speech = job_speech(fixture);
    job_campaign(fixture, video, speech);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    atomic_store(&fixture->cancel, true);
    struct gate *const gates[] = {gate, NULL}; /* stopped at the gate, and by the first frame */
    for (size_t i = 0; i < ARRAY_LENGTH(gates); i++) {
        fixture->context.gate = gates[i];
        job_choose(fixture, "c/plan", PLAN_KEY);
        assert_fails(fixture, ERR_CANCELLED, "");
        job_choose(fixture, "c/track/0000", TRACK_KEY);
        assert_fails(fixture, ERR_CANCELLED, "told to stop");
    }
    fixture->context.inputs = (const char *const[]){"part"};
    fixture->context.input_count = 1;
    job_choose(fixture, "c/hi/join", FINAL_KEY);
    assert_fails(fixture, ERR_CANCELLED, "told to stop");
}

static void unknown_files_are_named(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_free_ char *video = job_upload(fixture, MASTER);
    job_campaign(fixture, MISSING, MISSING);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    job_choose(fixture, "c/plan", PLAN_KEY);
    assert_fails(fixture, ERR_STORE_NOT_FOUND, MISSING);
    job_choose(fixture, "c/track/0000", TRACK_KEY);
    assert_fails(fixture, ERR_STORE_NOT_FOUND, MISSING);
    job_campaign(fixture, video, MISSING);
    job_choose(fixture, "c/plan", PLAN_KEY);
    assert_fails(fixture, ERR_STORE_NOT_FOUND, "speech of hi (" MISSING);
}

static void files_that_are_no_media_are_named(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/text", fixture->directory), *speech = job_speech(fixture);
    assert_ok(file_write_atomic(path, "not a film", 10, 0644, &err), err);
    _cleanup_free_ char *text = job_upload(fixture, path), *video = job_upload(fixture, MASTER);
    job_campaign(fixture, text, speech);
    job_choose(fixture, "c/plan", PLAN_KEY);
    assert_fails(fixture, ERR_MEDIA_INVALID, "master sha256:");
    job_campaign(fixture, video, text);
    job_choose(fixture, "c/plan", PLAN_KEY);
    assert_fails(fixture, ERR_MEDIA_INVALID, "speech of hi");
}

int main(void) {
    media_process_begin();
    model_process_begin();
    const struct CMUnitTest tests[] = {
        JOB_TEST(a_campaign_is_done_job_by_job),     JOB_TEST(second_plan_is_the_first_one),
        JOB_TEST(cancelled_job_leaves_nothing),      JOB_TEST(unknown_files_are_named),
        JOB_TEST(files_that_are_no_media_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
