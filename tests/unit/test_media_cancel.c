/* A flag that is raised while a film or a speech is read ends the reading, wherever that is. */
#include "directory_fixture.h"

#include "media/media.h"
#include "wav_fixture.h"

#define MASTER SOURCE_ROOT "/.deps/media/cap13_edit2.mp4" /* 765 frames */

enum { ENOUGH = 3, SPEECH_SECONDS = 20 };

static atomic_bool stop;

static void stop_after_some(int64_t frames, void *count) {
    *(int64_t *)count = frames;
    if (frames == ENOUGH)
        atomic_store(&stop, true);
}

static void scan_stops_within_what_is_decoded_already(void **state) {
    struct error err;
    atomic_store(&stop, false);
    int64_t count = 0;
    _cleanup_video_reader_ struct video_reader *reader = video_open(MASTER, 1, &stop, &err);
    assert_ok(reader, err);
    _cleanup_video_scan_ struct video_scan scan = {0};
    assert_code(video_scan(reader, stop_after_some, &count, &scan, &err), ERR_CANCELLED, err);
    assert_true(count < ENOUGH + 32); /* frames inside the decoder still came */
}

static void seek_stops_on_its_way(void **state) {
    struct error err;
    atomic_store(&stop, false);
    _cleanup_video_reader_ struct video_reader *reader = video_open(MASTER, 1, &stop, &err);
    assert_ok(reader, err);
    atomic_store(&stop, true);
    assert_code(video_seek(reader, 700, 700, &err), ERR_CANCELLED, err);
}

static bool stop_at_once(const float *samples, int count, void *pieces, struct error *err) {
    ++*(int *)pieces;
    atomic_store(&stop, true);
    return true;
}

static void speech_stops_within_what_is_decoded_already(void **state) {
    struct error err;
    atomic_store(&stop, false);
    int pieces = 0;
    int64_t count;
    _cleanup_free_ char *speech = xasprintf("%s/speech.wav", (char *)*state);
    wav_write(speech, SPEECH_SECONDS);
    assert_code(audio_each(speech, stop_at_once, &pieces, &stop, &count, &err), ERR_CANCELLED, err);
    assert_int_equal(pieces, 1);
}

static void nothing_is_opened_any_more(void **state) {
    struct error err;
    int64_t count;
    const struct video_info info = {.time_base_num = 1, .time_base_den = 25};
    struct video_join join = {.segments = (const char *const[]){MASTER},
                              .segment_start_pts = (int64_t[]){0},
                              .segment_count = 1,
                              .info = &info,
                              .speech = MASTER,
                              .cancel = &stop};
    atomic_store(&stop, true);
    assert_code(video_open(MASTER, 1, &stop, &err), ERR_CANCELLED, err);
    assert_code(audio_each(MASTER, stop_at_once, NULL, &stop, &count, &err), ERR_CANCELLED, err);
    assert_code(video_join_segments("/nowhere/final.mp4", &join, &err), ERR_CANCELLED, err);
}

int main(void) {
    media_process_begin();
    static const struct CMUnitTest tests[] = {
        SCRATCH_TEST(scan_stops_within_what_is_decoded_already),
        SCRATCH_TEST(seek_stops_on_its_way),
        SCRATCH_TEST(speech_stops_within_what_is_decoded_already),
        SCRATCH_TEST(nothing_is_opened_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
