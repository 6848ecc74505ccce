/* The lips role: on the baseline, and on a network of Wav2Lip's true shape with random weights. */
#include "model/model.h"
#include "model_fixture.h"

#include <math.h>

enum { BATCH = 4, MEL_VALUES = MEL_BANDS * MEL_WINDOW };

struct input {
    float *mels, *crops, *out;
    size_t plane;
};

static float noise(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / (float)(1 << 24);
}

static struct input make_input(int size, int count) {
    struct input in = {.plane = (size_t)size * (size_t)size};
    uint32_t seed = 1;
    in.mels = xnew_array(float, (size_t)count *MEL_VALUES);
    in.crops = xnew_array(float, (size_t)count * 3 * in.plane);
    in.out = xnew_array(float, (size_t)count * 3 * in.plane);
    for (int i = 0; i < count * MEL_VALUES; i++)
        in.mels[i] = 8 * noise(&seed) - 4;
    for (size_t i = 0; i < (size_t)count * 3 * in.plane; i++)
        in.crops[i] = noise(&seed);
    return in;
}

static void free_input(struct input *in) {
    free(in->mels);
    free(in->crops);
    free(in->out);
}

static struct lips *open_shipped(const char *name) {
    struct error err;
    _cleanup_zoo_ struct zoo *zoo = shipped_zoo();
    struct lips *lips = lips_open(zoo, name, &cpu, BATCH, &err);
    assert_ok(lips, err);
    return lips;
}

static void assert_picture(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        assert_true(values[i] >= 0 && values[i] <= 1);
}

/* A full batch, then its first frame alone: the same picture, and nothing behind it is touched. */
static void check_tail(const char *name) {
    _cleanup_lips_ struct lips *lips = open_shipped(name);
    _cleanup_(free_input) struct input in = make_input(lips_size(lips), BATCH);
    size_t values = 3 * in.plane;
    struct error err;
    assert_int_equal(lips_batch(lips), BATCH);
    assert_ok(lips_run(lips, BATCH, in.mels, in.crops, in.out, &err), err);
    assert_picture(in.out, BATCH * values);
    _cleanup_free_ float *tail = xnew_array(float, 2 * values);
    tail[values] = 7;
    assert_ok(lips_run(lips, 1, in.mels, in.crops, tail, &err), err);
    for (size_t i = 0; i < values; i++)
        assert_float_equal(tail[i], in.out[i], 1e-5);
    assert_float_equal(tail[values], 7, 0);
}

static void test_a_short_batch_gives_the_same(void **state) {
    check_tail("lips-basic");
    check_tail("wav2lip-96-random");
}

static void test_colours_keep_their_places(void **state) {
    _cleanup_lips_ struct lips *lips = open_shipped("lips-basic");
    _cleanup_(free_input) struct input in = make_input(96, 1);
    struct error err;
    assert_ok(lips_run(lips, 1, in.mels, in.crops, in.out, &err), err);
    for (size_t c = 0; c < 3; c++) /* above row 52 the baseline gives the reference back */
        for (size_t i = 0; i < 52 * 96; i++)
            assert_float_equal(in.out[c * in.plane + i], in.crops[c * in.plane + i], 1e-4);
}

static void test_the_sound_matters(void **state) {
    _cleanup_lips_ struct lips *lips = open_shipped("lips-basic");
    _cleanup_(free_input) struct input in = make_input(96, 2);
    struct error err;
    memcpy(in.crops + 3 * in.plane, in.crops, 3 * in.plane * sizeof(float));
    for (int i = 0; i < MEL_VALUES; i++) {
        in.mels[i] = -4;
        in.mels[MEL_VALUES + i] = 3;
    }
    assert_ok(lips_run(lips, 2, in.mels, in.crops, in.out, &err), err);
    assert_memory_not_equal(in.out, in.out + 3 * in.plane, 3 * in.plane * sizeof(float));
}

static struct point place(double x, double y) { /* a face turned by 30 degrees, twice as large */
    double c = 2 * cos(0.5236), s = 2 * sin(0.5236);
    return (struct point){(float)(c * x - s * y + 300), (float)(s * x + c * y + 200)};
}

/* The template's points, placed as a face in the frame, must come back where the manifest wants them. */
static void test_the_crop_puts_the_face_where_the_contract_says(void **state) {
    struct error err;
    _cleanup_zoo_ struct zoo *zoo = shipped_zoo();
    _cleanup_lips_ struct lips *lips = lips_open(zoo, "lips-basic", &cpu, BATCH, &err);
    assert_ok(lips, err);
    const json_t *contract = json_object_get(zoo_manifest(zoo, "lips-basic", &err), "contract");
    const json_t *points = json_object_get(json_object_get(contract, "crop"), "points");
    /* FFHQ's points in 256 x 256; the crop is columns 62 to 194 and rows 65 to 241. */
    struct point landmarks[] = {place(96.49, 119.97), place(159.45, 120.1), place(128.32, 157.01),
                                place(100.63, 185.71), place(156.54, 185.58)};
    struct affine crop = lips_crop(lips, landmarks), to_crop = affine_inverse(crop);
    for (size_t i = 0; i < 5; i++) {
        const json_t *wanted = json_array_get(points, i);
        struct point p = affine_apply(&to_crop, landmarks[i]);
        assert_float_equal((p.x + 0.5) / 96, json_number_value(json_array_get(wanted, 0)), 0.002);
        assert_float_equal((p.y + 0.5) / 96, json_number_value(json_array_get(wanted, 1)), 0.002);
    }
    struct point corner = affine_apply(&crop, (struct point){-0.5f, -0.5f}), want = place(62, 65);
    assert_float_equal(corner.x, want.x, 0.2);
    assert_float_equal(corner.y, want.y, 0.2);
    assert_float_equal(hypot(crop.a, crop.d) / hypot(crop.b, crop.e), 0.75, 1e-4);
}

/* A network whose batch the file fixes at 1, ending in values that no picture has. */
static void test_a_fixed_batch_and_odd_values(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "one.onnx"), *weights = scratch_path(state, "weights");
    _cleanup_(free_input) struct input in = make_input(96, 3);
    struct error err;
    float *odd = in.out;
    odd[0] = -0.5f, odd[1] = 1.5f, odd[2] = NAN, odd[3] = 0.25f;
    struct onnx_tensor inputs[] = {{.name = "faces", .rank = 4, .dims = {1, 6, 96, 96}},
                                   {.name = "mel", .rank = 4, .dims = {1, 1, 80, 16}}};
    struct onnx_tensor output = {.name = "out", .rank = 4, .dims = {1, 3, 96, 96}, .values = odd};
    onnx_write(path, inputs, 2, &output, 1);
    _cleanup_zoo_ struct zoo *zoo = zoo_open(*state, weights, &err);
    assert_ok(zoo, err);
    assert_ok(model_add(zoo, "lips", path, "one", &err), err);
    _cleanup_lips_ struct lips *lips = lips_open(zoo, "one", &cpu, 3, &err);
    assert_ok(lips, err);
    assert_ok(lips_run(lips, 3, in.mels, in.crops, in.out, &err), err);
    for (size_t i = 0; i < 3; i++) {
        const float *blue = in.out + (3 * i + 2) * in.plane; /* the network's first plane */
        assert_memory_equal(blue, ((float[]){0, 1, 0, 0.25f}), 4 * sizeof(float));
    }
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_short_batch_gives_the_same),
        cmocka_unit_test(test_colours_keep_their_places),
        cmocka_unit_test(test_the_sound_matters),
        cmocka_unit_test(test_the_crop_puts_the_face_where_the_contract_says),
        SCRATCH_TEST(test_a_fixed_batch_and_odd_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
