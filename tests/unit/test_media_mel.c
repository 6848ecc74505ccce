#include "test.h"

#include <math.h>

#include "base/memory.h"
#include "media/mel.h"

/* Column c holds the value c in every band. */
static void count_columns(struct mel *mel, int64_t frames) {
    mel->frames = frames;
    mel->values = xnew_array(float, (size_t)frames *MEL_BANDS);
    for (int64_t i = 0; i < frames * MEL_BANDS; i++)
        mel->values[i] = (float)(i / MEL_BANDS);
}

static void test_window_follows_time(void **state) {
    _cleanup_mel_ struct mel mel;
    count_columns(&mel, 400);
    float window[MEL_BANDS * MEL_WINDOW];
    for (int frame = 0; frame < 90; frame++) { /* every whole multiple must not slip a column */
        mel_window(&mel, frame / 25.0, window);
        assert_float_equal(window[0], (frame * 80 / 25), 0);
        assert_float_equal(window[79 * MEL_WINDOW + 15], (frame * 80 / 25 + 15), 0);
    }
    mel_window(&mel, 1001.0 / 30000, window);
    assert_float_equal(window[0], 2, 0);
}

static void test_outside_is_silence(void **state) {
    _cleanup_mel_ struct mel mel;
    count_columns(&mel, 20);
    float window[MEL_BANDS * MEL_WINDOW];
    mel_window(&mel, 10.0 / MEL_PER_SECOND, window);
    assert_float_equal(window[9], 19, 0);
    assert_float_equal(window[10], -4, 0);
    mel_window(&mel, -2.0 / MEL_PER_SECOND, window);
    assert_float_equal(window[1], -4, 0);
    assert_float_equal(window[2], 0, 0);
    mel_window(&mel, 1e6, window);
    assert_float_equal(window[0], -4, 0);
}

static void test_nothing(void **state) {
    _cleanup_mel_ struct mel mel;
    mel_make(&(struct audio){0}, &mel);
    assert_int_equal(mel.frames, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_follows_time),
        cmocka_unit_test(test_outside_is_silence),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
