/* What a dub holds of its frames: whole batches for ordinary films, a bounded number of bytes for all. */
#include "test.h"

#include <libavutil/pixfmt.h>

#include "dub/frame_room.h"
#include "farm/limits.h"

enum { FACES = 128 };

static struct video_info info_of(int width, int height, int format) {
    return (struct video_info){.width = width, .height = height, .pixel_format = format};
}

static void assert_room(const struct frame_room *room, size_t batch, size_t ring, size_t chunk) {
    assert_int_equal(room->batch, batch);
    assert_int_equal(room->ring, ring);
    assert_int_equal(room->chunk, chunk);
}

static void ordinary_film_has_whole_rings(void **state) {
    const struct video_info hd = info_of(1920, 1080, AV_PIX_FMT_YUV420P);
    struct frame_room forward = frame_room_find(&hd, FACES, false), backward = frame_room_find(&hd, FACES, true);
    assert_room(&forward, FACES, FACES, 1);
    assert_room(&backward, FACES, FACES, 32);
}

static void large_film_keeps_its_batch_and_has_shorter_rings(void **state) {
    const struct video_info uhd = info_of(3840, 2160, AV_PIX_FMT_YUV420P10);
    struct frame_room room = frame_room_find(&uhd, FACES, false);
    assert_int_equal(room.batch, FACES);
    assert_true(room.ring >= 16 && room.ring < FACES);
}

static void all_stays_below_the_limit(void **state) {
    static const int formats[] = {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV444P10};
    static const int sizes[][2] = {{64, 48}, {1920, 1080}, {3840, 2160}, {8192, 4352}, {16384, 2176}};
    for (size_t i = 0; i < 15; i++)
        for (size_t faces = 1; faces <= FACES; faces *= 2) {
            const struct video_info info = info_of(sizes[i % 5][0], sizes[i % 5][1], formats[i / 5]);
            struct frame_room room = frame_room_find(&info, faces, i % 2);
            assert_true(room.batch >= 1 && room.ring >= 1 && room.chunk >= 1 && room.batch <= faces);
            double bytes = (double)(room.batch + 2 * room.ring + room.chunk) * (double)video_frame_bytes(&info);
            assert_true(bytes <= (double)limit_most(LIMIT_FRAME_BYTES));
        }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_film_has_whole_rings),
        cmocka_unit_test(large_film_keeps_its_batch_and_has_shorter_rings),
        cmocka_unit_test(all_stays_below_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
