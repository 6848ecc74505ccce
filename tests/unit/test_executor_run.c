/* Jobs of every kind through the one function that runs them, with the real film and networks. */
#include "gate_fixture.h"
#include "job_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "executor/fence.h"

/* A path in the job's scratch folder; the caller frees. */
static char *left_path(const struct job_fixture *fixture, const char *name) {
    return work_path(&fixture->context, name);
}

/* Every file that the job was to make is there. */
static void assert_targets(struct job_fixture *fixture) {
    struct error err;
    _cleanup_job_files_ struct job_files files = {0};
    const struct job_context *context = &fixture->context;
    assert_ok(executor_job_files(context->campaign, context->plan, &context->job, "1-0", &files, &err), err);
    assert_int_equal(files.source_count, context->input_count);
    for (size_t i = 0; i < files.source_count; i++)
        assert_string_equal(files.sources[i].name, context->inputs[i].name);
    for (size_t i = 0; i < files.target_count; i++) {
        struct stat info;
        _cleanup_free_ char *path = left_path(fixture, files.targets[i].name);
        assert_int_equal(lstat(path, &info), 0);
        assert_true(S_ISREG(info.st_mode) && info.st_size > 0);
    }
}

/* The job fails with this code and text, and no result is there. */
static void assert_fails(struct job_fixture *fixture, enum error_code wanted, const char *text) {
    struct error err;
    struct work_result result = {.report = (json_t *)1}; /* whatever was there */
    assert_error(executor_run_job(&fixture->context, &result, &err), wanted, text, err);
    assert_null(result.report);
}

/* Does the chosen job on what it was given. The caller frees the result. */
static struct work_result run_job(struct job_fixture *fixture) {
    struct error err;
    struct work_result result;
    assert_ok(executor_run_job(&fixture->context, &result, &err), err);
    assert_targets(fixture);
    assert_non_null(json_object_get(result.report, "steps_ms"));
    assert_int_equal(json_get_integer(result.report, "gpu_ms", -1), 0);
    return result;
}

/* Optimises the networks, since the cache of the optimised ones is the test's own. */
static struct models *load_models(const char *cache) {
    static const enum pool pools[] = {POOL_LIPSYNC};
    struct models_options options = {.manifests = SOURCE_ROOT "/models",
                                     .directory = SOURCE_ROOT "/.deps/models",
                                     .device = {.kind = DEVICE_CPU, .threads = 2},
                                     .cache_directory = cache};
    struct error err;
    struct models *models = models_load(&options, pools, 1, &err);
    assert_ok(models, err);
    return models;
}

static void choose_plan(struct job_fixture *fixture, const char *video, const char *speech) {
    job_choose(fixture, "c/plan");
    job_give(fixture, "video", video);
    job_give(fixture, "speech-hi", speech);
}

static void choose_track(struct job_fixture *fixture) {
    job_choose(fixture, "c/track/0000");
    job_give(fixture, "video", MASTER);
}

/* Runs the plan job; the caller frees the plan. */
static struct plan *make_plan(struct job_fixture *fixture) {
    struct error err;
    choose_plan(fixture, MASTER, job_speech(fixture));
    _cleanup_work_result_ struct work_result planned = run_job(fixture);
    assert_int_equal(json_get_integer(planned.report, "frames", 0), 765);
    assert_int_equal(atomic_load(&fixture->progress.frames), 765);
    _cleanup_free_ char *path = left_path(fixture, "plan.json");
    _cleanup_buffer_ struct buffer text = {0};
    assert_ok(file_read(path, 1 << 20, &text, &err), err);
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, &err);
    struct plan *plan = plan_from_json(json, &err);
    assert_ok(plan, err);
    assert_int_equal(json_get_integer(planned.report, "segments", 0), plan->segment_count);
    return plan;
}

static void assert_dubbed(const char *path) {
    struct error err;
    _cleanup_video_reader_ struct video_reader *reader = video_open(path, 1, NULL, &err);
    assert_ok(reader, err);
    assert_int_equal(video_reader_info(reader)->width, 400);
    assert_true(video_reader_info(reader)->has_audio);
}

/* One second of speech over the first second of the film, from its plan to the dubbed video. */
static void a_campaign_is_done_job_by_job(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_free_ char *graphs = left_path(fixture, "graphs");
    _cleanup_models_ struct models *models = load_models(graphs);
    struct counted_gate gate;
    counted_gate_init(&gate);
    fixture->context.models = models;
    fixture->context.gate = &gate.gate;
    _cleanup_plan_ struct plan *plan = make_plan(fixture);
    assert_int_equal(plan->frame_count, 765);
    assert_int_equal(plan->languages[0].output_count, 1);
    fixture->context.plan = plan;
    choose_track(fixture);
    _cleanup_work_result_ struct work_result tracked = run_job(fixture);
    assert_int_equal(json_get_integer(tracked.report, "frames", 0), plan->segments[0].frames);
    assert_int_equal(json_array_size(json_object_get(tracked.report, "faceless")), 0);
    _cleanup_free_ char *track = left_path(fixture, "track.trk"), *speech = left_path(fixture, "speech-hi.pcm");
    job_choose(fixture, "c/hi/dub/0000");
    job_give(fixture, "video", MASTER);
    job_give(fixture, "track", track);
    job_give(fixture, "speech", speech);
    _cleanup_work_result_ struct work_result dubbed = run_job(fixture);
    assert_int_equal(json_get_integer(dubbed.report, "frames", 0), plan->languages[0].outputs[0].frames);
    _cleanup_free_ char *segment = left_path(fixture, "segment.mp4"), *final = left_path(fixture, "final.mp4");
    job_choose(fixture, "c/hi/join");
    job_give(fixture, "speech", fixture->speech);
    job_give(fixture, "part-0000", segment);
    _cleanup_work_result_ struct work_result joined = run_job(fixture);
    assert_int_equal(atomic_load(&fixture->progress.frames), 1);
    assert_int_equal(gate.inside, 0);
    assert_dubbed(final);
}

static void cancelled_job_is_told_to_stop(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    const char *speech = job_speech(fixture);
    const struct video_info info = {.width = 400, .height = 300, .time_base_num = 1, .time_base_den = 25};
    plan->media = video_info_to_json(&info);
    fixture->context.plan = plan;
    atomic_store(&fixture->cancel, true);
    choose_plan(fixture, MASTER, speech);
    assert_fails(fixture, ERR_CANCELLED, "told to stop");
    choose_track(fixture);
    assert_fails(fixture, ERR_CANCELLED, "told to stop");
    job_choose(fixture, "c/hi/join");
    job_give(fixture, "speech", speech);
    job_give(fixture, "part-0000", MASTER);
    assert_fails(fixture, ERR_CANCELLED, "told to stop");
}

static void files_that_are_no_media_are_named(void **state) {
    struct job_fixture *fixture = *state;
    struct error err;
    _cleanup_free_ char *text = left_path(fixture, "text");
    const char *speech = job_speech(fixture);
    assert_ok(file_write_atomic(text, "not a film", 10, 0644, &err), err);
    choose_plan(fixture, text, speech);
    assert_fails(fixture, ERR_MEDIA_INVALID, "master " VIDEO_URI);
    choose_plan(fixture, MASTER, text);
    assert_fails(fixture, ERR_MEDIA_INVALID, "speech of hi (" SPEECH_URI);
}

/* An executor is given what its supervisor fetched, and says what is not there. */
static void a_file_that_was_not_given_is_named(void **state) {
    struct job_fixture *fixture = *state;
    job_choose(fixture, "c/plan");
    assert_fails(fixture, ERR_INTERNAL, "\"video\"");
    job_give(fixture, "video", MASTER);
    assert_fails(fixture, ERR_INTERNAL, "\"speech-hi\"");
}

/* ---- the same behind the fence ----
 * In a program of its own: this one, called with "early" or "late" and the folder that it may write. */

static void dub_behind_the_fence(const char *when) {
    struct error err;
    int status;
    _cleanup_free_ char *folder = directory_for_test();
    pid_t pid = child_start((const char *const[]){"/proc/self/exe", when, folder, NULL}, NULL, &err);
    assert_ok(pid > 0, err);
    assert_true(child_wait(pid, -1, &status));
    tree_remove(folder);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_dub_is_made_behind_the_fence(void **state) { dub_behind_the_fence("early"); }

static void a_dub_is_made_when_the_fence_comes_after_the_threads(void **state) {
#ifdef __SANITIZE_THREAD__
    skip(); /* it keeps signals back until a thread makes its next call, and has a thread that takes none */
#endif
    dub_behind_the_fence("late");
}

/* As an executor would: the networks are read, one folder is written. */
static bool raise_fence(const char *folder) {
    const char *read[] = {SOURCE_ROOT "/models", SOURCE_ROOT "/.deps"}, *write[] = {folder};
    struct fence fence = {.read = read, .read_count = ARRAY_LENGTH(read), .write = write, .write_count = 1};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    fence.memory_bytes = (int64_t)4 << 30;
#endif
    struct fence_report held;
    struct error err;
    if (!fence_raise(&fence, &held, &err)) {
        print_error("%s\n", err.message);
        return false;
    }
    _cleanup_free_ char *text = fence_describe(&held);
    print_message("%s\n", text);
    _cleanup_fclose_ FILE *outside = fopen("/etc/passwd", "re");
    return held.threads_outside == 0 && (!held.files || !outside);
}

/* Ends without a sanitizer's last words about leaks: it would have to trace itself. */
static _Noreturn void run_fenced(const char *when, const char *folder) {
    const struct CMUnitTest tests[] = {JOB_TEST(a_campaign_is_done_job_by_job)};
    bool late = strcmp(when, "late") == 0;
    struct models *early = late ? load_models(folder) : NULL;
    int failed = 1;
    if (setenv("TMPDIR", folder, true) == 0 && raise_fence(folder))
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    models_free_cleanup(&early);
    fflush(NULL);
    _exit(failed);
}

int main(int argc, char **argv) {
    media_process_begin();
    model_process_begin();
    if (argc == 3)
        run_fenced(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        JOB_TEST(a_campaign_is_done_job_by_job),
        JOB_TEST(cancelled_job_is_told_to_stop),
        JOB_TEST(files_that_are_no_media_are_named),
        JOB_TEST(a_file_that_was_not_given_is_named),
        cmocka_unit_test(a_dub_is_made_behind_the_fence),
        cmocka_unit_test(a_dub_is_made_when_the_fence_comes_after_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
