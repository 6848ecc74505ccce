/* Jobs that cannot be done end with their own error: one that does not fit its plan, a damaged track, a missing part, a
 * thread that the system refuses. */
#include "gate_fixture.h"
#include "job_fixture.h"

#include <sched.h>

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

/* Writes a file into the scratch folder. The path is the caller's to free. */
static char *write_input(struct job_fixture *fixture, const char *name, const void *data, size_t length) {
    struct error err;
    char *path = work_path(&fixture->context, name);
    assert_ok(file_write_atomic(path, data, length, 0644, &err), err);
    return path;
}

/* A track of so many frames without a face, `cut` bytes too short. The caller frees its path. */
static char *write_track(struct job_fixture *fixture, int64_t frames, size_t cut) {
    struct error err;
    _cleanup_free_ char *path = work_path(&fixture->context, "made.trk");
    _cleanup_track_ struct track track = {.frames = xnew_array(struct track_frame, (size_t)frames), .count = frames};
    for (int64_t i = 0; i < frames; i++) {
        track.frames[i].pts = i;
        track.frames[i].duration = 1;
    }
    assert_ok(track_write(&track, path, &err), err);
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_ok(file_read(path, 1 << 20, &bytes, &err), err);
    return write_input(fixture, "track", bytes.data, bytes.length - cut);
}

static void choose_dub(struct job_fixture *fixture, const char *track, const char *speech) {
    job_choose(fixture, "c/hi/dub/0000");
    job_give(fixture, "video", MASTER);
    if (track)
        job_give(fixture, "track", track);
    if (speech)
        job_give(fixture, "speech", speech);
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
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    job_choose(fixture, "c/track/0001");
    assert_error(run_job(fixture, track_job_run, &err), ERR_INTERNAL, "no segment 1", err);
    job_choose(fixture, "c/hi/dub/0001");
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "does not fit the job hi/dub", err);
    job_choose(fixture, "c/ta/join");
    job_give(fixture, "speech", "speech.wav");
    assert_error(run_job(fixture, join_job_run, &err), ERR_INTERNAL, "does not fit the job ta/join", err);
}

static void damaged_track_ends_a_dub(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    choose_dub(fixture, NULL, NULL);
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "\"track\"", err);
    _cleanup_free_ char *broken = write_track(fixture, 25, 1);
    choose_dub(fixture, broken, NULL);
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "not written by this version", err);
    _cleanup_free_ char *shorter = write_track(fixture, 24, 0);
    choose_dub(fixture, shorter, NULL);
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "does not fit segment 0", err);
    _cleanup_free_ char *whole = write_track(fixture, 25, 0);
    choose_dub(fixture, whole, NULL);
    assert_error(run_job(fixture, dub_job_run, &err), ERR_INTERNAL, "\"speech\"", err);
}

static void missing_part_ends_a_join(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    job_choose(fixture, "c/hi/join");
    assert_error(run_job(fixture, join_job_run, &err), ERR_INTERNAL, "\"speech\"", err);
    job_give(fixture, "speech", "speech.wav");
    assert_error(run_job(fixture, join_job_run, &err), ERR_INTERNAL, "\"part-0000\"", err);
}

/* A job that ends early leaves the gate. */
static void assert_gate_is_left(struct job_fixture *fixture, const struct counted_gate *gate, job_runner *runner,
                                const char *thread) {
    struct error err;
    assert_error(run_without_threads(fixture, runner, &err), ERR_INTERNAL, thread, err);
    assert_int_equal(gate->inside, 0);
}

static void refused_thread_ends_a_job(void **state) {
    static const int16_t silence[SPEECH_SAMPLES];
    struct job_fixture *fixture = *state;
    _cleanup_models_ struct models *models = load_models();
    struct counted_gate gate;
    counted_gate_init(&gate);
    _cleanup_free_ char *track = write_track(fixture, 25, 0);
    _cleanup_free_ char *speech = write_input(fixture, "speech", silence, sizeof silence);
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    fixture->context.plan = plan;
    fixture->context.models = models;
    fixture->context.gate = &gate.gate;
    job_choose(fixture, "c/track/0000");
    job_give(fixture, "video", MASTER);
    assert_gate_is_left(fixture, &gate, track_job_run, "track-decode");
    choose_dub(fixture, track, speech);
    assert_gate_is_left(fixture, &gate, dub_job_run, "dub-decode");
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
