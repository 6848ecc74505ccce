/* Which tensor is what: by rank and shape, whatever its name and place. */
#include "model_fixture.h"

#include "model/bind.h"
#include "model/model.h"

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .name = "t", .rank = ARRAY_LENGTH(((int64_t[]){__VA_ARGS__})), .dims = { __VA_ARGS__ }                         \
    }
#define SIGNATURE(in, out) {in, out, ARRAY_LENGTH(in), ARRAY_LENGTH(out)}

static void test_lips_in_either_order(void **state) {
    static const struct tensor_shape a[] = {SHAPE(-1, 1, 80, 16), SHAPE(-1, 6, 96, 96)};
    static const struct tensor_shape b[] = {SHAPE(1, 6, 384, 384), SHAPE(1, 1, 80, 16)};
    static const struct tensor_shape small[] = {SHAPE(-1, 3, 96, 96)}, large[] = {SHAPE(-1, 3, -1, -1)};
    struct signature first = SIGNATURE(a, small), second = SIGNATURE(b, large);
    struct binding binding;
    struct error err;
    assert_ok(bind_role("lips", &first, &binding, &err), err);
    assert_int_equal(binding.kind, NETWORK_LIPS);
    assert_int_equal(binding.mel, 0);
    assert_int_equal(binding.picture, 1);
    assert_int_equal(binding.width, 96);
    assert_int_equal(binding.batch, 0);
    assert_ok(bind_role("lips", &second, &binding, &err), err);
    assert_int_equal(binding.mel, 1);
    assert_int_equal(binding.picture, 0);
    assert_int_equal(binding.width, 384);
    assert_int_equal(binding.batch, 1);
}

static void refuse_lips(struct tensor_shape mel, struct tensor_shape faces, struct tensor_shape out,
                        const char *found) {
    struct tensor_shape in[] = {mel, faces};
    struct signature signature = {in, &out, 2, 1};
    struct binding binding;
    struct error err;
    assert_error(bind_role("lips", &signature, &binding, &err), ERR_MODEL_INVALID, found, err);
    assert_non_null(strstr(err.message, "[B,1,80,16]"));
}

static void test_what_is_no_lips_network(void **state) {
    struct tensor_shape mel = SHAPE(-1, 1, 80, 16), faces = SHAPE(-1, 6, 96, 96), out = SHAPE(-1, 3, 96, 96);
    refuse_lips((struct tensor_shape)SHAPE(-1, 80, 16), faces, out, "inputs t [?,80,16], t [?,6,96,96]");
    refuse_lips((struct tensor_shape)SHAPE(-1, -1, -1, -1), faces, out, "t [?,?,?,?]");
    refuse_lips(mel, (struct tensor_shape)SHAPE(-1, 3, 96, 96), out, "t [?,3,96,96]");
    refuse_lips(mel, (struct tensor_shape)SHAPE(-1, 6, 128, 128), out, "t [?,6,128,128]");
    refuse_lips(mel, (struct tensor_shape)SHAPE(-1, 6, 96, 288), out, "t [?,6,96,288]");
    refuse_lips(mel, (struct tensor_shape)SHAPE(-1, 6, -1, -1), out, "t [?,6,?,?]");
    refuse_lips(mel, faces, (struct tensor_shape)SHAPE(-1, 3, 48, 48), "outputs t [?,3,48,48]");
    refuse_lips(mel, mel, out, "outputs t [?,3,96,96]");
}

static void test_detectors_are_told_apart(void **state) {
    static const struct tensor_shape in128[] = {SHAPE(-1, 3, 128, 128)}, any[] = {SHAPE(1, 3, -1, -1)};
    static const struct tensor_shape blaze[] = {SHAPE(-1, 896, 1), SHAPE(-1, 896, 16)};
    static const struct tensor_shape retina[] = {SHAPE(1, -1, 4), SHAPE(1, -1, 2), SHAPE(1, -1, 10)};
    static const struct tensor_shape scrfd[] = {SHAPE(12800, 1), SHAPE(3200, 1),  SHAPE(800, 1),
                                                SHAPE(12800, 4), SHAPE(3200, 4),  SHAPE(800, 4),
                                                SHAPE(-1, 10),   SHAPE(3200, 10), SHAPE(1, 800, 10)};
    struct signature signatures[] = {SIGNATURE(in128, blaze), SIGNATURE(any, retina), SIGNATURE(any, scrfd)};
    struct binding binding;
    struct error err;
    assert_ok(bind_role("detect", &signatures[0], &binding, &err), err);
    assert_int_equal(binding.kind, NETWORK_BLAZEFACE);
    assert_int_equal(binding.outputs[0], 1);
    assert_int_equal(binding.outputs[1], 0);
    assert_ok(bind_role("detect", &signatures[1], &binding, &err), err);
    assert_int_equal(binding.kind, NETWORK_RETINAFACE);
    assert_int_equal(binding.width, 0);
    assert_ok(bind_role("detect", &signatures[2], &binding, &err), err);
    assert_int_equal(binding.kind, NETWORK_SCRFD);
    signatures[2].output_count = 6; /* SCRFD without keypoints: nothing to align by */
    assert_error(bind_role("detect", &signatures[2], &binding, &err), ERR_MODEL_INVALID, "keypoints", err);
    signatures[0].inputs = any;
    assert_error(bind_role("detect", &signatures[0], &binding, &err), ERR_MODEL_INVALID, "BlazeFace", err);
}

static void test_mesh_and_enhance(void **state) {
    static const struct tensor_shape in[] = {SHAPE(1, 3, 192, 192)}, any[] = {SHAPE(1, 3, -1, -1)};
    static const struct tensor_shape flat[] = {SHAPE(1, 1, 1, 1), SHAPE(1, 1, 1, 1404)};
    static const struct tensor_shape nhwc[] = {SHAPE(1, 192, 192, 3)};
    struct signature mesh = SIGNATURE(in, flat), wrong = SIGNATURE(nhwc, flat), enhance = SIGNATURE(any, any);
    struct signature fixed = SIGNATURE(in, any);
    struct binding binding;
    struct error err;
    assert_ok(bind_role("mesh", &mesh, &binding, &err), err);
    assert_int_equal(binding.outputs[0], 1);
    assert_error(bind_role("mesh", &wrong, &binding, &err), ERR_MODEL_INVALID, "[1,192,192,3]", err);
    assert_ok(bind_role("enhance", &enhance, &binding, &err), err);
    assert_error(bind_role("enhance", &fixed, &binding, &err), ERR_MODEL_INVALID, "free H and W", err);
    assert_error(bind_role("paint", &mesh, &binding, &err), ERR_MODEL_INVALID, "\"paint\" is no role", err);
}

static void test_monstrous_shapes_are_refused(void **state) {
    static const struct tensor_shape wide[] = {SHAPE(1, 3, 640, 4294967936)}, many[] = {SHAPE(1L << 40, 3, 640, 640)};
    static const struct tensor_shape retina[] = {SHAPE(1, -1, 4), SHAPE(1, -1, 2), SHAPE(1, -1, 10)};
    struct signature first = SIGNATURE(wide, retina), second = SIGNATURE(many, retina);
    struct binding binding;
    struct error err;
    assert_error(bind_role("detect", &first, &binding, &err), ERR_MODEL_INVALID, "4294967936", err);
    assert_error(bind_role("detect", &second, &binding, &err), ERR_MODEL_INVALID, "1099511627776", err);
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lips_in_either_order),         cmocka_unit_test(test_what_is_no_lips_network),
        cmocka_unit_test(test_detectors_are_told_apart),     cmocka_unit_test(test_mesh_and_enhance),
        cmocka_unit_test(test_monstrous_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
