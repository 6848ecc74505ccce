/* The zoo: manifests, weights, and models that a user adds. */
#include "model/model.h"
#include "model_fixture.h"

#include <sys/stat.h>

#define MANIFEST(name, more) "{\"name\":\"" name "\",\"role\":\"lips\",\"file\":\"" name ".onnx\"" more "}"
#define HASH ",\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"" /* of abc */

static void write_text(void **state, const char *name, const char *text) {
    _cleanup_free_ char *path = scratch_path(state, name);
    struct error err;
    assert_ok(file_write_atomic(path, text, strlen(text), 0644, &err), err);
}

static struct zoo *open_scratch(void **state, const char *weights) {
    _cleanup_free_ char *directory = scratch_path(state, weights);
    struct error err;
    struct zoo *zoo = zoo_open(*state, directory, &err);
    assert_ok(zoo, err);
    return zoo;
}

static void test_the_shipped_zoo(void **state) {
    _cleanup_zoo_ struct zoo *zoo = shipped_zoo();
    struct error err;
    _cleanup_json_ json_t *list = zoo_list(zoo);
    assert_true(json_array_size(list) >= 3);
    assert_ok(zoo_check(zoo, "face-mesh", &err), err);
    const json_t *manifest = zoo_manifest(zoo, "blazeface-128", &err);
    assert_ok(manifest, err);
    assert_true(json_get_integer(manifest, "memory_mb", 0) > 0);
    assert_error(zoo_manifest(zoo, "nothing", &err), ERR_MODEL_NOT_FOUND, "mela models list", err);
    assert_error(zoo_file(zoo, "../models", &err), ERR_MODEL_NOT_FOUND, "../models", err);
}

static void test_weights_are_checked(void **state) {
    struct error err;
    write_text(state, "abc.json", MANIFEST("abc", ",\"bytes\":3" HASH));
    _cleanup_zoo_ struct zoo *zoo = open_scratch(state, ".");
    assert_error(zoo_file(zoo, "abc", &err), ERR_MODEL_NOT_FOUND, "mela models pull abc", err);
    _cleanup_json_ json_t *list = zoo_list(zoo);
    assert_int_equal(json_array_size(list), 1);
    assert_false(json_get_bool(json_array_get(list, 0), "present", true));
    write_text(state, "abc.onnx", "abcd");
    assert_error(zoo_file(zoo, "abc", &err), ERR_MODEL_HASH_MISMATCH, "4 bytes", err);
    write_text(state, "abc.onnx", "abd");
    assert_error(zoo_check(zoo, "abc", &err), ERR_MODEL_HASH_MISMATCH, "sha256", err);
    write_text(state, "abc.onnx", "abc");
    assert_ok(zoo_check(zoo, "abc", &err), err);
}

static void refuse_manifest(void **state, const char *text, enum error_code code) {
    struct error err;
    write_text(state, "bad.json", text);
    assert_error(zoo_open(*state, *state, &err), code, "bad.json: ", err);
}

static void test_bad_manifests_are_named(void **state) {
    struct error err;
    refuse_manifest(state, "{", ERR_JSON_INVALID);
    refuse_manifest(state, "[]", ERR_MODEL_INVALID);
    refuse_manifest(state, "{\"name\":\"UPPER\"" HASH "}", ERR_MODEL_INVALID);
    refuse_manifest(state, "{\"name\":\"a\",\"role\":\"lips\",\"file\":\"../a\"" HASH "}", ERR_MODEL_INVALID);
    refuse_manifest(state, "{\"name\":\"a\",\"role\":\"lips\",\"file\":\".hidden\"" HASH "}", ERR_MODEL_INVALID);
    refuse_manifest(state, "{\"name\":\"a\",\"file\":\"a\"" HASH "}", ERR_MODEL_INVALID);
    refuse_manifest(state, MANIFEST("a", ",\"sha256\":\"12\""), ERR_MODEL_INVALID);
    assert_error(zoo_open("/nonexistent", *state, &err), ERR_IO, "/nonexistent", err);
}

static void test_shipped_manifests_win(void **state) {
    _cleanup_free_ char *weights = scratch_path(state, "weights");
    struct error err;
    assert_ok(directory_make(weights, &err), err);
    write_text(state, "a.json", MANIFEST("a", HASH));
    write_text(state, "weights/a.json", MANIFEST("a", ",\"source\":\"elsewhere\"" HASH));
    _cleanup_zoo_ struct zoo *zoo = open_scratch(state, "weights");
    assert_null(json_object_get(zoo_manifest(zoo, "a", &err), "source"));
}

/* A network of Wav2Lip's shapes whose every picture is grey. */
static void write_lips(const char *path, int64_t size) {
    struct onnx_tensor in[] = {{.name = "source", .rank = 4, .dims = {1, 1, 80, 16}},
                               {.name = "target", .rank = 4, .dims = {1, 6, size, size}}};
    struct onnx_tensor out = {.name = "output", .rank = 4, .dims = {1, 3, size, size}};
    onnx_write(path, in, 2, &out, 1);
}

static void test_a_users_model_joins_the_zoo(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "mine.onnx");
    struct error err;
    write_lips(path, 256);
    {
        _cleanup_zoo_ struct zoo *zoo = open_scratch(state, "weights");
        assert_ok(model_add(zoo, "lips", path, "mine-256", &err), err);
        assert_ok(zoo_check(zoo, "mine-256", &err), err);
        assert_error(model_add(zoo, "lips", path, "mine-256", &err), ERR_MODEL_INVALID, "already", err);
    }
    unlink(path);
    _cleanup_zoo_ struct zoo *zoo = open_scratch(state, "weights");
    assert_ok(zoo_check(zoo, "mine-256", &err), err);
    const json_t *manifest = zoo_manifest(zoo, "mine-256", &err);
    assert_string_equal(json_get_string(manifest, "role", ""), "lips");
    assert_true(json_get_integer(manifest, "memory_mb", 0) > 0);
    _cleanup_lips_ struct lips *lips = lips_open(zoo, "mine-256", &cpu, 4, &err);
    assert_ok(lips, err);
    assert_int_equal(lips_size(lips), 256);
    assert_int_equal(lips_batch(lips), 4);
    assert_error(enhance_open(zoo, "mine-256", &cpu, &err), ERR_MODEL_INVALID, "a model for lips, not for enhance",
                 err);
}

static void test_an_enhancers_scale_is_found(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "twice.onnx");
    struct onnx_tensor in = {.name = "input", .rank = 4, .dims = {1, 3, -1, -1}};
    struct onnx_tensor out = {.name = "output", .rank = 4, .dims = {1, 3, 32, 32}};
    struct error err;
    onnx_write(path, &in, 1, &out, 1);
    _cleanup_zoo_ struct zoo *zoo = open_scratch(state, "weights");
    assert_ok(model_add(zoo, "enhance", path, "twice", &err), err);
    _cleanup_enhance_ struct enhance *enhance = enhance_open(zoo, "twice", &cpu, &err);
    assert_ok(enhance, err);
    assert_int_equal(enhance_scale(enhance), 2);
    float *rgb = xnew_array(float, 3 * 16 * 16), *large = xnew_array(float, 3 * 32 * 32);
    assert_ok(enhance_run(enhance, 16, rgb, large, &err), err);
    free(rgb);
    free(large);
}

/* The manifest has one hash: weights in a second file could change and nobody would know. */
static void test_a_model_in_several_files_is_refused(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "twice.onnx");
    struct onnx_tensor in = {.name = "input", .rank = 4, .dims = {1, 3, -1, -1}};
    struct onnx_tensor out = {.name = "output", .rank = 4, .dims = {1, 3, 32, 32}, .location = "twice.data"};
    struct error err;
    onnx_write(path, &in, 1, &out, 1);
    _cleanup_free_ char *weights = scratch_path(state, "weights"), *data = scratch_path(state, "weights/twice.data");
    _cleanup_free_ char *zeros = xcalloc(3 * 32 * 32, sizeof(float));
    assert_ok(directory_make(weights, &err), err);
    assert_ok(file_write_atomic(data, zeros, 3 * 32 * 32 * sizeof(float), 0644, &err), err);
    _cleanup_zoo_ struct zoo *zoo = open_scratch(state, "weights");
    assert_error(model_add(zoo, "enhance", path, "twice", &err), ERR_MODEL_INVALID, "another file, twice.data", err);
}

static void test_wrong_models_leave_nothing(void **state) {
    _cleanup_free_ char *wrong = scratch_path(state, "wrong.onnx"), *garbage = scratch_path(state, "garbage.onnx");
    _cleanup_free_ char *missing = scratch_path(state, "missing.onnx"), *liar = scratch_path(state, "liar.onnx");
    struct error err;
    _cleanup_zoo_ struct zoo *zoo = open_scratch(state, "weights");
    _cleanup_free_ char *weights = scratch_path(state, "weights");
    assert_ok(directory_make(weights, &err), err);
    write_lips(wrong, 128);
    write_text(state, "garbage.onnx", "this is no network");
    assert_error(model_add(zoo, "lips", wrong, "w", &err), ERR_MODEL_INVALID, "[1,6,128,128]", err);
    assert_error(model_add(zoo, "mesh", wrong, "w", &err), ERR_MODEL_INVALID, "role mesh", err);
    assert_error(model_add(zoo, "poet", wrong, "w", &err), ERR_MODEL_INVALID, "no role", err);
    assert_error(model_add(zoo, "lips", garbage, "w", &err), ERR_MODEL_INVALID, "garbage.onnx", err);
    assert_error(model_add(zoo, "lips", missing, "w", &err), ERR_MODEL_NOT_FOUND, "missing.onnx", err);
    struct onnx_tensor in = {.name = "input", .rank = 4, .dims = {1, 3, -1, -1}};
    struct onnx_tensor out = {.name = "output", .rank = 4, .dims = {1, 3, 20, 20}};
    onnx_write(liar, &in, 1, &out, 1);
    assert_error(model_add(zoo, "enhance", liar, "w", &err), ERR_MODEL_INVALID, "no whole scale", err);
    static const char *const names[] = {"", "../w", "W", "a b", ".w", "a/b"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_error(model_add(zoo, "lips", wrong, names[i], &err), ERR_MODEL_INVALID, "no model name", err);
    assert_int_equal(rmdir(weights), 0); /* it is empty */
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_shipped_zoo),
        SCRATCH_TEST(test_weights_are_checked),
        SCRATCH_TEST(test_bad_manifests_are_named),
        SCRATCH_TEST(test_shipped_manifests_win),
        SCRATCH_TEST(test_a_users_model_joins_the_zoo),
        SCRATCH_TEST(test_an_enhancers_scale_is_found),
        SCRATCH_TEST(test_a_model_in_several_files_is_refused),
        SCRATCH_TEST(test_wrong_models_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
