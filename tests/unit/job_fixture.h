/* What the tests of the rooms dub and executor share: a store and a cache in a temporary directory, a campaign of one
 * dub, and the context of a job. The master is one of the films that setup fetched; the speech is a tone of one second.
 */
#pragma once

#include "../support/plan_of_frames.h"
#include "directory_fixture.h"

#include <pthread.h>

#include "base/digest.h"
#include "dub/dub.h"
#include "dub/track_file.h"
#include "executor/executor.h"

#define MASTER SOURCE_ROOT "/.deps/media/cap13_edit2.mp4" /* 765 frames of 400 x 300, a man who talks */
#define MISSING "sha256:0000000000000000000000000000000000000000000000000000000000000000"

enum { SPEECH_SAMPLES = AUDIO_RATE };

struct job_fixture {
    char *directory;
    struct store *store;
    struct cache *cache;
    struct campaign *campaign;
    struct progress progress;
    atomic_bool cancel;
    struct job_context context;
};

/* Puts a file into the store as an upload does; its URI, which the caller frees. */
static inline char *job_upload(struct job_fixture *fixture, const char *path) {
    struct error err;
    char hex[SHA256_HEX + 1];
    assert_ok(sha256_file(path, hex, NULL, &err), err);
    _cleanup_free_ char *key = layout_file(hex);
    assert_ok(store_put_file(fixture->store, key, path, 0, &err), err);
    return xasprintf("sha256:%s", hex);
}

/* A WAV file of one second: 16 kHz, mono, 16 bit, 250 Hz. */
static inline char *job_speech(struct job_fixture *fixture) {
    struct {
        char riff[4];
        uint32_t size;
        char wave[8];
        uint32_t format_size;
        uint16_t format, channels;
        uint32_t rate, bytes_a_second;
        uint16_t block, bits;
        char data[4];
        uint32_t data_size;
        int16_t samples[SPEECH_SAMPLES];
    } wav = {"RIFF", 36 + 2 * SPEECH_SAMPLES, "WAVEfmt ", 16, 1, 1, AUDIO_RATE, 2 * AUDIO_RATE, 2, 16,
             "data", 2 * SPEECH_SAMPLES,      {0}};
    struct error err;
    for (int i = 0; i < SPEECH_SAMPLES; i++)
        wav.samples[i] = i / 32 % 2 ? 8000 : -8000;
    _cleanup_free_ char *path = xasprintf("%s/speech.wav", fixture->directory);
    assert_ok(file_write_atomic(path, &wav, sizeof wav, 0644, &err), err);
    return job_upload(fixture, path);
}

/* Makes the campaign "c" of this master and one dub, "hi", cut into segments of one second. */
static inline void job_campaign(struct job_fixture *fixture, const char *video, const char *speech) {
    _cleanup_json_ json_t *spec =
        json_pack("{s:s,s:s,s:[{s:s,s:s}],s:{s:i,s:s}}", "name", "c", "video", video, "dubs", "language", "hi", "audio",
                  speech, "options", "segment_seconds", 1, "sync", "cut_off");
    _cleanup_json_ json_t *problems = json_array();
    if (fixture->campaign)
        campaign_free(fixture->campaign);
    fixture->campaign = campaign_parse(spec, "c", problems);
    assert_non_null(fixture->campaign);
    fixture->context.campaign = fixture->campaign;
}

/* Makes the context that of the job with this id, which writes `artifact`. */
static inline void job_choose(struct job_fixture *fixture, const char *id, const char *artifact) {
    assert_true(job_id_parse(id, &fixture->context.job));
    fixture->context.artifact = artifact;
    fixture->progress = (struct progress){0};
}

static inline int job_setup(void **state) {
    struct error err;
    struct job_fixture *fixture = xnew(struct job_fixture);
    *state = fixture;
    fixture->directory = directory_make_temporary("/tmp", "mela-test", &err);
    if (!fixture->directory)
        return -1;
    _cleanup_free_ char *url = xasprintf("file://%s/store", fixture->directory);
    _cleanup_free_ char *cache = xasprintf("%s/cache", fixture->directory);
    fixture->store = store_open(url, NULL, &err);
    fixture->cache = cache_open(cache, 1 << 30, &err);
    if (!fixture->store || !fixture->cache)
        return -1;
    fixture->context = (struct job_context){.store = fixture->store,
                                            .cache = fixture->cache,
                                            .scratch = fixture->directory,
                                            .progress = &fixture->progress,
                                            .cancel = &fixture->cancel};
    return 0;
}

static inline int job_teardown(void **state) {
    struct job_fixture *fixture = *state;
    if (fixture->campaign)
        campaign_free(fixture->campaign);
    cache_close(fixture->cache);
    store_close(fixture->store);
    tree_remove(fixture->directory);
    free(fixture->directory);
    free(fixture);
    return 0;
}

#define JOB_TEST(function) cmocka_unit_test_setup_teardown(function, job_setup, job_teardown)

/* From here on, until threads_allow, every thread without a stack size of its own is refused, as one over the limit is.
 */
static inline pthread_attr_t threads_refuse(void) {
    pthread_attr_t usual, huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
    return usual;
}

static inline void threads_allow(pthread_attr_t usual) {
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&usual);
}

/* A plan of one segment of `frames` frames, 25 a second, that the dub "hi" shows once. */
static inline struct plan *job_plan(const struct campaign *campaign, int64_t frames) {
    return plan_of_frames(campaign, 400, 300, frames, (double)frames / 25);
}
