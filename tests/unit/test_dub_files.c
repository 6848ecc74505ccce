/* What each kind of job reads and writes: names, keys, ranges; by the campaign and its plan alone. */
#include "job_fixture.h"

#define SPEECH_KEY "campaigns/c/hi/speech.pcm"

/* What the job with this id reads and writes; the caller clears it. */
static struct job_files files_of(struct job_fixture *fixture, const struct plan *plan, const char *id) {
    struct error err;
    struct job_files files = {0};
    job_choose(fixture, id);
    assert_ok(executor_job_files(fixture->campaign, plan, &fixture->context.job, "2-ab", &files, &err), err);
    for (size_t i = 0; i < files.source_count; i++) {
        const struct job_source *source = &files.sources[i];
        assert_int_equal((source->uri != NULL) + (source->key != NULL) + (source->job != NULL), 1);
    }
    for (size_t i = 0; i < files.target_count; i++)
        assert_int_equal(files.targets[i].is_artifact, i + 1 == files.target_count);
    assert_ptr_equal(job_files_artifact(&files), &files.targets[files.target_count - 1]);
    return files;
}

static void assert_misfit(struct job_fixture *fixture, const struct plan *plan, const char *id, const char *text) {
    struct error err;
    _cleanup_job_files_ struct job_files files = {0};
    job_choose(fixture, id);
    assert_error(executor_job_files(fixture->campaign, plan, &fixture->context.job, "2-ab", &files, &err), ERR_INTERNAL,
                 text, err);
}

static void assert_uri(const struct job_source *source, const char *name, const char *uri) {
    assert_string_equal(source->name, name);
    assert_string_equal(source->uri, uri);
}

static void assert_job(const struct job_source *source, const char *name, const char *job) {
    assert_string_equal(source->name, name);
    assert_string_equal(source->job, job);
}

static void assert_target(const struct job_target *target, const char *name, const char *key, bool once) {
    assert_string_equal(target->name, name);
    assert_string_equal(target->key, key);
    assert_int_equal(target->once, once);
}

static void a_plan_reads_what_the_user_gave(void **state) {
    _cleanup_job_files_ struct job_files files = files_of(*state, NULL, "c/plan");
    assert_int_equal(files.source_count, 2);
    assert_uri(&files.sources[0], "video", VIDEO_URI);
    assert_uri(&files.sources[1], "speech-hi", SPEECH_URI);
    assert_string_equal(files.sources[1].label, "speech of hi (" SPEECH_URI ")");
    assert_int_equal(files.target_count, 2);
    assert_target(&files.targets[0], "speech-hi.pcm", SPEECH_KEY, true);
    assert_target(&files.targets[1], "plan.json", "campaigns/c/plan.json", true);
}

static void a_track_reads_the_master(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 75);
    _cleanup_job_files_ struct job_files files = files_of(fixture, plan, "c/track/0002");
    assert_int_equal(files.source_count, 1);
    assert_uri(&files.sources[0], "video", VIDEO_URI);
    assert_int_equal(files.target_count, 1);
    assert_target(&files.targets[0], "track.trk", "campaigns/c/track/0002.2-ab.trk", false);
}

static void a_dub_reads_the_track_of_the_segment_it_shows(void **state) {
    struct job_fixture *fixture = *state;
    fixture->campaign->options.sync = SYNC_BOUNCE;
    _cleanup_plan_ struct plan *plan = job_plan_of(fixture->campaign, 75, 6); /* segments 0 1 2, then 2 1 0 */
    _cleanup_job_files_ struct job_files files = files_of(fixture, plan, "c/hi/dub/0004");
    assert_int_equal(files.source_count, 3);
    assert_uri(&files.sources[0], "video", VIDEO_URI);
    assert_job(&files.sources[1], "track", "c/track/0001");
    assert_string_equal(files.sources[2].name, "speech");
    assert_int_equal(files.target_count, 1);
    assert_target(&files.targets[0], "segment.mp4", "campaigns/c/hi/0004.2-ab.mp4", false);
}

/* 80 columns a second of 200 samples of two bytes; 8 columns before, and 16 + 3 * 8 more behind. */
static void a_dub_reads_the_speech_that_it_shows(void **state) {
    static const struct {
        const char *id;
        int64_t first, length;
    } parts[] = {
        {"c/hi/dub/0000", 0, (80 + 16 + 24) * 400},
        {"c/hi/dub/0001", (80 - 8) * 400, (80 + 16 + 24) * 400},
        {"c/hi/dub/0002", (160 - 8) * 400, 2 * 40000 - (160 - 8) * 400}, /* to the end of 2.5 s */
    };
    struct job_fixture *fixture = *state;
    _cleanup_plan_ struct plan *plan = job_plan_of(fixture->campaign, 75, 2.5);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        _cleanup_job_files_ struct job_files files = files_of(fixture, plan, parts[i].id);
        const struct job_source *speech = &files.sources[2];
        assert_string_equal(speech->key, SPEECH_KEY);
        assert_string_equal(speech->label, "speech of hi");
        assert_int_equal(speech->first, parts[i].first);
        assert_int_equal(speech->length, parts[i].length);
    }
}

/* A length of 0 would be all of it. */
static void a_dub_after_the_speech_reads_none_of_it(void **state) {
    struct job_fixture *fixture = *state;
    fixture->campaign->options.sync = SYNC_SILENCE;
    _cleanup_plan_ struct plan *plan = job_plan_of(fixture->campaign, 75, 1.9);
    _cleanup_job_files_ struct job_files last = files_of(fixture, plan, "c/hi/dub/0002");
    assert_int_equal(last.source_count, 2); /* 1.9 s is column 152, where it would begin */
    _cleanup_plan_ struct plan *longer = job_plan_of(fixture->campaign, 75, 1.9 + 1.0 / AUDIO_RATE);
    _cleanup_job_files_ struct job_files sample = files_of(fixture, longer, "c/hi/dub/0002");
    assert_int_equal(sample.source_count, 3);
    assert_int_equal(sample.sources[2].length, 2);
}

static void a_join_reads_its_dubs_in_order(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 75);
    _cleanup_job_files_ struct job_files files = files_of(fixture, plan, "c/hi/join");
    assert_int_equal(files.source_count, 4);
    assert_uri(&files.sources[0], "speech", SPEECH_URI);
    assert_false(files.sources[0].is_counted);
    for (int i = 0; i < 3; i++) {
        char name[32], job[32];
        snprintf(name, sizeof name, "part-%04d", i);
        snprintf(job, sizeof job, "c/hi/dub/%04d", i);
        assert_job(&files.sources[1 + i], name, job);
        assert_true(files.sources[1 + i].is_counted);
    }
    assert_int_equal(files.target_count, 1);
    assert_target(&files.targets[0], "final.mp4", "campaigns/c/hi/final.2-ab.mp4", false);
}

static void jobs_beyond_the_plan_have_no_files(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    assert_misfit(fixture, plan, "c/track/0001", "no segment 1");
    assert_misfit(fixture, plan, "c/hi/dub/0001", "does not fit the job hi/dub");
    assert_misfit(fixture, plan, "c/ta/dub/0000", "does not fit the job ta/dub");
    assert_misfit(fixture, plan, "c/ta/join", "does not fit the job ta/join");
    plan->languages[0].outputs[0].frames = 26;
    assert_misfit(fixture, plan, "c/hi/dub/0000", "more of segment 0");
}

/* The campaign has another language than its plan. */
static void a_join_without_its_speech_has_no_files(void **state) {
    struct job_fixture *fixture = *state;
    _cleanup_plan_ struct plan *plan = job_plan(fixture->campaign, 25);
    memcpy(fixture->campaign->dubs[0].language, "ta", 2);
    assert_misfit(fixture, plan, "c/hi/join", "does not fit the job hi/join");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        JOB_TEST(a_plan_reads_what_the_user_gave),
        JOB_TEST(a_track_reads_the_master),
        JOB_TEST(a_dub_reads_the_track_of_the_segment_it_shows),
        JOB_TEST(a_dub_reads_the_speech_that_it_shows),
        JOB_TEST(a_dub_after_the_speech_reads_none_of_it),
        JOB_TEST(a_join_reads_its_dubs_in_order),
        JOB_TEST(jobs_beyond_the_plan_have_no_files),
        JOB_TEST(a_join_without_its_speech_has_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
