/* The face track: what is written is read back, what is not a track is refused, smoothing stays inside a shot. */
#include "directory_fixture.h"

#include <math.h>

#include "dub/track_file.h"
#include "farm/limits.h"

enum { FRAMES = 12 };

static struct track made_track(void) {
    struct track track = {.frames = xnew_array(struct track_frame, FRAMES), .count = FRAMES};
    for (int i = 0; i < FRAMES; i++) {
        struct track_frame *frame = &track.frames[i];
        frame->pts = 40 * i;
        frame->duration = 40;
        frame->shot = i >= 8;
        frame->present = i != 3 && i != 4 && i != 11;
        for (int k = 0; k < TRACK_ALIGN; k++)
            frame->align[k] = (struct point){(float)(10 * i + k), (float)k};
        for (int k = 0; k < TRACK_OUTLINE; k++)
            frame->outline[k] = (struct point){(float)k, (float)(10 * i + k)};
    }
    return track;
}

static void written_track_is_read_back(void **state) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/track.trk", (char *)*state);
    _cleanup_track_ struct track track = made_track(), read = {0};
    assert_ok(track_write(&track, path, &err), err);
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_ok(file_read(path, 1 << 20, &bytes, &err), err);
    assert_ok(track_read(&bytes, &read, &err), err);
    assert_int_equal(read.count, FRAMES);
    assert_memory_equal(read.frames, track.frames, FRAMES * sizeof *track.frames);
}

/* Nothing is written that its readers would refuse for its size. */
static void too_long_track_is_not_written(void **state) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/long.trk", (char *)*state);
    int64_t count = limit_most(LIMIT_TRACK_BYTES) / (int64_t)sizeof(struct track_frame) + 1;
    _cleanup_track_ struct track track = {.frames = xnew_array(struct track_frame, (size_t)count), .count = count};
    assert_error(track_write(&track, path, &err), ERR_MEDIA_LIMIT, "bytes of face track in a segment", err);
    assert_int_equal(access(path, F_OK), -1);
}

/* A segment has a frame at least, so a track without one is damaged. */
static void empty_track_is_refused(void **state) {
    struct track read;
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/track.trk", (char *)*state);
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_ok(track_write(&(struct track){0}, path, &err), err);
    assert_ok(file_read(path, 1 << 20, &bytes, &err), err);
    assert_code(track_read(&bytes, &read, &err), ERR_INTERNAL, err);
}

/* Cut off anywhere but between two frames, in the middle of the magic too, and with a byte of the magic changed. */
static void damaged_bytes_are_refused(void **state) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/track.trk", (char *)*state);
    _cleanup_track_ struct track track = made_track();
    assert_ok(track_write(&track, path, &err), err);
    _cleanup_buffer_ struct buffer whole = {0};
    assert_ok(file_read(path, 1 << 20, &whole, &err), err);
    for (size_t length = 0; length < whole.length; length++) {
        struct buffer cut = {.data = whole.data, .length = length};
        struct track read = {0};
        if (length >= 8 && (length - 8) % sizeof(struct track_frame) == 0)
            continue;
        assert_code(track_read(&cut, &read, &err), ERR_INTERNAL, err);
        assert_null(read.frames);
    }
    for (size_t i = 0; i < 8; i++) {
        struct track read = {0};
        whole.data[i] ^= 1;
        assert_code(track_read(&whole, &read, &err), ERR_INTERNAL, err);
        assert_null(read.frames);
        whole.data[i] ^= 1;
    }
}

static void frames_without_a_face_are_ranges(void **state) {
    _cleanup_track_ struct track track = made_track();
    _cleanup_json_ json_t *ranges = track_faceless(&track, 100);
    _cleanup_json_ json_t *wanted = json_pack("[[i,i],[i,i]]", 103, 104, 111, 111);
    assert_true(json_equal(ranges, wanted));
}

/* The landmarks move evenly, so their mean over a symmetric window is where they were; at a cut or a gap the window has
 * one side only, on which no frame of another run may count. */
static void smoothing_stays_inside_a_run(void **state) {
    _cleanup_track_ struct track track = made_track(), raw = made_track();
    track_smooth(&track);
    for (int i = 0; i < FRAMES; i++) {
        float moved = track.frames[i].align[0].x - raw.frames[i].align[0].x;
        if (!raw.frames[i].present)
            assert_true(moved == 0);
        else if (i == 0 || i == 5 || i == 8) /* the first of a run is pulled to those after it */
            assert_true(moved > 1 && moved < 20);
        else if (i == 2 || i == 7 || i == 10) /* the last to those before it */
            assert_true(moved < -1 && moved > -20);
        else
            assert_true(fabsf(moved) < 1e-4F);
        assert_true(fabsf(track.frames[i].outline[5].x - raw.frames[i].outline[5].x) < 1e-4F);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(written_track_is_read_back),
        SCRATCH_TEST(too_long_track_is_not_written),
        SCRATCH_TEST(empty_track_is_refused),
        SCRATCH_TEST(damaged_bytes_are_refused),
        cmocka_unit_test(frames_without_a_face_are_ranges),
        cmocka_unit_test(smoothing_stays_inside_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
