/* Jobs that cannot be done end with their own error: one that does not fit its plan, a damaged track, a missing part, a
 * thread that the system refuses. */
#include "job_fixture.h"

#include <sched.h>

#define TRACK_KEY "campaigns/c/track/0000.1-0.trk"

/* FFmpeg decodes in the caller's thread when there is one core to use: then the only threads are our own. */
static int use_one_core(void **state) {
    cpu_set_t set;
    int first = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -1;
    while (!CPU_ISSET(first, &set))
        first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

static struct models *load_models(void) {
    static const enum pool pools[] = {POOL_LIPSYNC};
    struct models_options options = {.manifests = SOURCE_ROOT "/models",
                                     .directory = SOURCE_ROOT "/.deps/models",
                                     .device = {.kind = DEVICE_CPU, .threads = 1}};
    struct error err;
    struct models *models = models_load(&options, pools, 1, &err);
    assert_ok(models, err);
    return models;
}

static void store_master_and_speech(struct job_fixture *fixture) {
    _cleanup_free_ char *video = job_upload(fixture, MASTER), *speech = job_speech(fixture);
    job_campaign(fixture, video, speech);
}

static void store_track(struct job_fixture *fixture, int64_t frames, size_t cut) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/made.trk", fixture->directory);
    _cleanup_track_ struct track track = {.frames = xnew_array(struct track_frame, (size_t)frames), .count = frames};
    for (int64_t i = 0; i < frames; i++) {
        track.frames[i].pts = i;
        track.frames[i].duration = 1;
    }
    assert_ok(track_write(&track, path, &err), err);
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_ok(file_read(path, 1 << 20, &bytes, &err), err);
    assert_ok(store_put(fixture->store, TRACK_KEY, bytes.data, bytes.length - cut, 0, &err), err);
}

/* What the plan job stores: one second of silence. */
static void store_speech(struct job_fixture *fixture) {
    static const int16_t samples[SPEECH_SAMPLES];
    struct error err;
    _cleanup_free_ char *key = layout_speech("c", "hi");
    assert_ok(store_put(fixture->store, key, samples, sizeof samples, 0, &err), err);
}

/* Runs a job of the kind's own runner; the report is thrown away. */
static bool run_job(struct job_fixture *fixture, job_runner *runner, struct error *err) {
    struct step_times times = {0};
    _cleanup_work_result_ struct work_result result = {.report = json_object()};
    return runner(&fixture->context, &times, &result, err);
}

/* The same while the system refuses every thread. */
static bool run_without_threads(struct job_fixture *fixture, job_runner *runner, struct error *err) {
    pthread_attr_t usual = threads_refuse();
    bool done = run_job(fixture, runner, err);
    threads_allow(usual);
    return done;
}

static void jobs_beyond_the_plan_are_refused(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    const char *const inputs[] = {TRACK_KEY};
    job_campaign(fixture, MISSING, MISSING);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    job_choose(fixture, "c/track/0001", "t");
    assert_error(run_job(fixture, track_job_run, &err), ERR_INTERNAL, "no segment 1", err);
    fixture->context.inputs = inputs;
    fixture->context.input_count = 1;
    job_choose(fixture, "c/hi/dub/0001", "d");
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "does not fit the job hi/dub", err);
    job_choose(fixture, "c/ta/dub/0000", "d");
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "does not fit the job ta/dub", err);
    plan->languages[0].outputs[0].frames = 26;
    job_choose(fixture, "c/hi/dub/0000", "d");
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "more of segment 0", err);
    fixture->context.input_count = 2;
    job_choose(fixture, "c/hi/join", "j");
    assert_error(run_job(fixture, join_job_run, &err), ERR_INTERNAL, "does not fit the job hi/join", err);
}

static void damaged_track_ends_a_dub(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    const char *const inputs[] = {TRACK_KEY};
    store_master_and_speech(fixture);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    fixture->context.inputs = inputs;
    fixture->context.input_count = 1;
    job_choose(fixture, "c/hi/dub/0000", "d");
    assert_error(run_job(fixture, dub_job_run, &err), ERR_STORE_NOT_FOUND, TRACK_KEY, err);
    store_track(fixture, 25, 1);
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "not written by this version", err);
    store_track(fixture, 24, 0);
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "does not fit segment 0", err);
    struct store_stat stat;
    assert_code(store_head(fixture->store, "d", &stat, &err), ERR_STORE_NOT_FOUND, err);
}

static void missing_part_ends_a_join(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    const char *const inputs[] = {"parts/0"};
    store_master_and_speech(fixture);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    fixture->context.inputs = inputs;
    fixture->context.input_count = 1;
    job_choose(fixture, "c/hi/join", "j");
    assert_error(run_job(fixture, join_job_run, &err), ERR_STORE_NOT_FOUND, "parts/0", err);
    assert_error(run_without_threads(fixture, join_job_run, &err), ERR_INTERNAL, "join-fetch", err);
}

/* The gate is free afterwards: a job that ends early leaves it. */
static void refused_thread_ends_a_job(void **state) {
    static const struct {
        const char *id, *thread;
        job_runner *runner;
    } jobs[] = {{"c/track/0000", "track-decode", track_job_run}, {"c/hi/dub/0000", "dub-decode", dub_job_run}};
    struct job_fixture *fixture = *state;
    const char *const inputs[] = {TRACK_KEY};
    _cleanup_models_ struct models *models = load_models();
    _cleanup_gate_ struct gate *gate = gate_new();
    store_master_and_speech(fixture);
    store_track(fixture, 25, 0);
    store_speech(fixture);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    fixture->context.models = models;
    fixture->context.gate = gate;
    fixture->context.inputs = inputs;
    fixture->context.input_count = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(jobs); i++) {
        struct error err;
        job_choose(fixture, jobs[i].id, "out");
        assert_error(run_without_threads(fixture, jobs[i].runner, &err), ERR_INTERNAL, jobs[i].thread, err);
        assert_true(gate_enter(gate, &fixture->cancel));
        gate_leave(gate);
    }
}

int main(void) {
    media_process_begin();
    model_process_begin();
    const struct CMUnitTest tests[] = {
        JOB_TEST(jobs_beyond_the_plan_are_refused),
        JOB_TEST(damaged_track_ends_a_dub),
        JOB_TEST(missing_part_ends_a_join),
        JOB_TEST(refused_thread_ends_a_job),
    };
    return cmocka_run_group_tests(tests, use_one_core, NULL);
}
