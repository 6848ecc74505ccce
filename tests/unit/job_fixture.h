/* What the tests of the rooms dub and executor share: a temporary directory, a campaign of one dub, and the context of
 * a job, which is given local files. The master is one of the films that setup fetched; the speech is a tone of one
 * second.
 */
#pragma once

#include "../support/plan_of_frames.h"
#include "directory_fixture.h"
#include "thread_fixture.h"
#include "wav_fixture.h"

#include "dub/dub.h"
#include "dub/track_file.h"
#include "executor/executor.h"

#define MASTER SOURCE_ROOT "/.deps/media/cap13_edit2.mp4" /* 765 frames of 400 x 300, a man who talks */
#define VIDEO_URI "s3://in/master.mp4"
#define SPEECH_URI "s3://in/hi.wav"

enum { SPEECH_SAMPLES = AUDIO_RATE };

struct job_fixture {
    char *directory; /* also the job's scratch folder */
    char *speech;    /* the WAV file, once job_speech made it */
    struct campaign *campaign;
    struct progress progress;
    atomic_bool cancel;
    struct job_file inputs[4];
    struct job_context context;
};

/* A speech of one second. The path is the fixture's. */
static inline const char *job_speech(struct job_fixture *fixture) {
    fixture->speech = xasprintf("%s/speech.wav", fixture->directory);
    wav_write(fixture->speech, 1);
    return fixture->speech;
}

/* Makes the campaign "c" of one master and one dub, "hi", cut into segments of one second. */
static inline void job_campaign(struct job_fixture *fixture) {
    _cleanup_json_ json_t *spec =
        json_pack("{s:s,s:s,s:[{s:s,s:s}],s:{s:i,s:s}}", "name", "c", "video", VIDEO_URI, "dubs", "language", "hi",
                  "audio", SPEECH_URI, "options", "segment_seconds", 1, "sync", "cut_off");
    _cleanup_json_ json_t *problems = json_array();
    fixture->campaign = campaign_parse(spec, "c", problems);
    assert_non_null(fixture->campaign);
    fixture->context.campaign = fixture->campaign;
}

/* Makes the context that of the job with this id, which has no input yet. */
static inline void job_choose(struct job_fixture *fixture, const char *id) {
    assert_true(job_id_parse(id, &fixture->context.job));
    fixture->context.input_count = 0;
    fixture->progress = (struct progress){0};
}

/* Gives the job an input; both strings are borrowed. */
static inline void job_give(struct job_fixture *fixture, const char *name, const char *path) {
    assert_true(fixture->context.input_count < ARRAY_LENGTH(fixture->inputs));
    fixture->inputs[fixture->context.input_count++] = (struct job_file){name, path};
}

static inline int job_setup(void **state) {
    struct job_fixture *fixture = xnew(struct job_fixture);
    *state = fixture;
    fixture->directory = directory_for_test();
    job_campaign(fixture);
    fixture->context = (struct job_context){.campaign = fixture->campaign,
                                            .inputs = fixture->inputs,
                                            .scratch = fixture->directory,
                                            .progress = &fixture->progress,
                                            .cancel = &fixture->cancel};
    return 0;
}

static inline int job_teardown(void **state) {
    struct job_fixture *fixture = *state;
    campaign_free(fixture->campaign);
    tree_remove(fixture->directory);
    free(fixture->speech);
    free(fixture->directory);
    free(fixture);
    return 0;
}

#define JOB_TEST(function) cmocka_unit_test_setup_teardown(function, job_setup, job_teardown)

/* A plan of `frames` frames, 25 a second, in segments of a second, and of a speech of this length. */
static inline struct plan *job_plan_of(const struct campaign *campaign, int64_t frames, double speech_seconds) {
    return plan_of_frames(campaign, 400, 300, frames, speech_seconds);
}

/* The same where the speech is as long as the film: for 25 frames, one segment that the dub "hi" shows once. */
static inline struct plan *job_plan(const struct campaign *campaign, int64_t frames) {
    return job_plan_of(campaign, frames, (double)frames / 25);
}
