/* Real-ESRGAN on a small picture whose larger form is known: smooth shading stays what it is. */
#include "model/model.h"
#include "model_fixture.h"

enum { SIZE = 24, SCALE = 4, LARGE = SIZE * SCALE };

/* The mean of each SCALE x SCALE pixels. */
static void shrink(const float *large, float *small) {
    for (int i = 0; i < 3 * LARGE * LARGE; i++) {
        int plane = i / (LARGE * LARGE), y = i / LARGE % LARGE / SCALE, x = i % LARGE / SCALE;
        small[(plane * SIZE + y) * SIZE + x] += large[i] / (SCALE * SCALE);
    }
}

static void test_shading_keeps_its_colours(void **state) {
    static float rgb[3 * SIZE * SIZE], large[3 * LARGE * LARGE], back[3 * SIZE * SIZE];
    struct error err;
    _cleanup_zoo_ struct zoo *zoo = shipped_zoo();
    _cleanup_enhance_ struct enhance *enhance = enhance_open(zoo, "realesrgan-fast", &cpu, &err);
    assert_ok(enhance, err);
    assert_int_equal(enhance_scale(enhance), SCALE);
    for (int i = 0; i < SIZE * SIZE; i++) {
        rgb[i] = 0.8f;
        rgb[SIZE * SIZE + i] = 0.2f + 0.6f * (float)(i % SIZE) / SIZE;
        rgb[2 * SIZE * SIZE + i] = 0.2f + 0.6f * (float)(i / SIZE) / SIZE;
    }
    assert_ok(enhance_run(enhance, SIZE, rgb, large, &err), err);
    for (int i = 0; i < 3 * LARGE * LARGE; i++)
        assert_true(large[i] >= 0 && large[i] <= 1);
    shrink(large, back);
    double difference = 0;
    for (int i = 0; i < 3 * SIZE * SIZE; i++)
        difference += back[i] > rgb[i] ? back[i] - rgb[i] : rgb[i] - back[i];
    assert_true(difference / (3 * SIZE * SIZE) < 0.03);
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shading_keeps_its_colours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
