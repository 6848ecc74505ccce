/* Sessions: devices, bad files, and the cache of optimised graphs. */
#include "model_fixture.h"

#include <glob.h>
#include <sys/stat.h>

#include "model/graph_cache.h"
#include "model/model.h"

static void test_devices(void **state) {
    struct device device;
    struct error err;
    assert_ok(device_parse("cpu", &device, &err), err);
    assert_int_equal(device.kind, DEVICE_CPU);
    assert_ok(device_parse("auto", &device, &err), err);
    assert_error(device_parse("cuda:1000", &device, &err), ERR_MODEL_DEVICE, "device cuda:1000: ", err);
    static const char *const wrong[] = {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:99999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_error(device_parse(wrong[i], &device, &err), ERR_MODEL_DEVICE, "use auto, cpu or cuda:N", err);
}

static void refuse(void **state, const char *name, enum error_code code, const char *text) {
    _cleanup_free_ char *path = scratch_path(state, name), *cache = scratch_path(state, "cache");
    struct error err;
    assert_error(session_open(path, &cpu, NULL, &err), code, text, err);
    assert_error(session_open(path, &cpu, cache, &err), code, text, err);
    assert_null(strchr(err.message, '\n'));
}

static void test_bad_files(void **state) {
    _cleanup_free_ char *garbage = scratch_path(state, "garbage.onnx"), *empty = scratch_path(state, "empty.onnx");
    _cleanup_free_ char *twice = scratch_path(state, "double.onnx");
    struct error err;
    assert_ok(file_write_atomic(garbage, "not a model at all", 18, 0644, &err), err);
    assert_ok(file_write_atomic(empty, "", 0, 0644, &err), err);
    struct onnx_tensor in = {.name = "x", .rank = 1, .dims = {1}, .type = ONNX_DOUBLE};
    struct onnx_tensor out = {.name = "y", .rank = 1, .dims = {1}};
    onnx_write(twice, &in, 1, &out, 1);
    refuse(state, "missing.onnx", ERR_MODEL_NOT_FOUND, "missing.onnx");
    refuse(state, "garbage.onnx", ERR_MODEL_INVALID, "garbage.onnx");
    refuse(state, "empty.onnx", ERR_MODEL_INVALID, "empty.onnx");
    refuse(state, "double.onnx", ERR_MODEL_INVALID, "x has elements of ONNX's type 11");
}

static void test_a_run_fills_the_callers_memory(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "two.onnx");
    struct onnx_tensor in = {.name = "x", .rank = 2, .dims = {-1, 3}};
    struct onnx_tensor out[] = {{.name = "y", .rank = 2, .dims = {-1, 2}, .values = (float[]){1, 2}},
                                {.name = "z", .rank = 1, .dims = {3}, .values = (float[]){3, 4, 5}}};
    struct error err;
    onnx_write(path, &in, 1, out, 2);
    _cleanup_session_ struct session *session = session_open(path, &cpu, NULL, &err);
    assert_ok(session, err);
    assert_int_equal(session_output_count(session), 2);
    assert_string_equal(session_output(session, 1)->name, "z");
    assert_int_equal(session_input(session, 0)->dims[0], -1);
    float x[3] = {0}, y[2] = {0}, z[3] = {0};
    struct tensor input = {x, 2, {1, 3}}, outputs[] = {{y, 2, {1, 2}}, {z, 1, {3}}};
    assert_ok(session_run(session, &input, outputs, &err), err);
    assert_memory_equal(y, ((float[]){1, 2}), sizeof y);
    assert_memory_equal(z, ((float[]){3, 4, 5}), sizeof z);
    outputs[1].dims[0] = 2;
    assert_error(session_run(session, &input, outputs, &err), ERR_MODEL_RUN, "inference failed", err);
    struct tensor_shape shapes[2];
    assert_ok(session_probe(session, &input, shapes, &err), err);
    assert_int_equal(shapes[0].dims[0], 1);
    assert_int_equal(shapes[1].dims[0], 3);
}

static void test_types_and_outputs_that_nobody_asks_for(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "typed.onnx");
    struct onnx_tensor in[] = {{.name = "half", .rank = 1, .dims = {-1}, .type = ONNX_FLOAT16},
                               {.name = "ids", .rank = 2, .dims = {-1, 2}, .type = ONNX_INT64},
                               {.name = "time", .rank = 0}};
    struct onnx_tensor out[] = {{.name = "half_out", .rank = 1, .dims = {-1}, .type = ONNX_FLOAT16, .copied = "half"},
                                {.name = "ids_out", .rank = 2, .dims = {-1, 2}, .type = ONNX_INT64, .copied = "ids"},
                                {.name = "time_out", .rank = 0, .copied = "time"}};
    struct error err;
    onnx_write(path, in, 3, out, 3);
    _cleanup_session_ struct session *session = session_open(path, &cpu, NULL, &err);
    assert_ok(session, err);
    assert_string_equal(tensor_type_name(session_input(session, 0)->type), "float16");
    assert_string_equal(tensor_type_name(session_input(session, 1)->type), "int64");
    assert_int_equal(session_input(session, 2)->rank, 0);
    uint16_t half[3] = {0x3c00, 0xfbff, 1}, half_out[3] = {0};
    int64_t ids[2] = {49406, INT64_MIN}, ids_out[2] = {0};
    float time = 999.5F, time_out = 0;
    struct tensor inputs[] = {{half, 1, {3}}, {ids, 2, {1, 2}}, {.data = &time}};
    struct tensor outputs[] = {{half_out, 1, {3}}, {.data = NULL}, {.data = &time_out}};
    assert_ok(session_run(session, inputs, outputs, &err), err);
    assert_memory_equal(half_out, half, sizeof half);
    assert_int_equal(ids_out[0], 0);
    assert_true(time_out == time);
    outputs[1] = (struct tensor){ids_out, 2, {1, 2}};
    assert_ok(session_run(session, inputs, outputs, &err), err);
    assert_memory_equal(ids_out, ids, sizeof ids);
}

static char *only_file(const char *directory) {
    _cleanup_free_ char *pattern = xasprintf("%s/*", directory);
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    char *path = xstrdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static void open_and_run(const char *cache) {
    static float picture[3 * 128 * 128], boxes[896 * 16], scores[896];
    struct tensor input = {picture, 4, {1, 3, 128, 128}},
                  outputs[] = {{boxes, 3, {1, 896, 16}}, {scores, 3, {1, 896, 1}}};
    struct error err;
    _cleanup_session_ struct session *session = session_open(WEIGHTS "/blazeface-128.onnx", &cpu, cache, &err);
    assert_ok(session, err);
    assert_ok(session_run(session, &input, outputs, &err), err);
}

static ino_t inode_of(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

static void expect_output(struct session *session, float wanted) {
    struct error err;
    float x = 0, y = -1;
    struct tensor input = {&x, 1, {1}}, output = {&y, 1, {1}};
    assert_ok(session_run(session, &input, &output, &err), err);
    assert_true(y == wanted);
}

/* Of a network y = constant_y; what was given is in it, wherever the file's own lies, and is not needed afterwards. */
static void test_another_weight(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "y.onnx"), *beside = scratch_path(state, "weights");
    struct onnx_tensor in = {.name = "x", .rank = 1, .dims = {1}};
    struct error err;
    assert_ok(file_write_atomic(beside, &(float){1}, sizeof(float), 0644, &err), err);
    for (int is_beside = 0; is_beside < 2; is_beside++) {
        float value = 7;
        struct onnx_tensor out = {
            .name = "y", .rank = 1, .dims = {1}, .values = (float[]){1}, .location = is_beside ? "weights" : NULL};
        struct session_weight weight = {"constant_y", TENSOR_FLOAT32, 1, {1}, &value};
        onnx_write(path, &in, 1, &out, 1);
        _cleanup_session_ struct session *other = session_open_with(path, &cpu, &weight, 1, &err);
        assert_ok(other, err);
        value = 9;
        expect_output(other, 7);
        _cleanup_session_ struct session *own = session_open(path, &cpu, NULL, &err);
        assert_ok(own, err);
        expect_output(own, 1);
        weight.name = "constant_z";
        assert_error(session_open_with(path, &cpu, &weight, 1, &err), ERR_MODEL_INVALID, "no weight constant_z", err);
        weight = (struct session_weight){"constant_y", TENSOR_FLOAT32, 1, {2}, &value};
        assert_error(session_open_with(path, &cpu, &weight, 1, &err), ERR_MODEL_INVALID, "type and shape", err);
        weight = (struct session_weight){"constant_y", TENSOR_INT32, 1, {1}, &value};
        assert_error(session_open_with(path, &cpu, &weight, 1, &err), ERR_MODEL_INVALID, "type and shape", err);
    }
}

/* The graph's name in the cache does not change with a file beside it, so it is not kept. */
static void test_weights_beside_the_file_are_not_cached(void **state) {
    _cleanup_free_ char *path = scratch_path(state, "y.onnx"), *beside = scratch_path(state, "weights"),
                        *cache = scratch_path(state, "cache");
    struct onnx_tensor in = {.name = "x", .rank = 1, .dims = {1}},
                       out = {.name = "y", .rank = 1, .dims = {1}, .location = "weights"};
    struct error err;
    onnx_write(path, &in, 1, &out, 1);
    for (int i = 1; i <= 2; i++) {
        assert_ok(file_write_atomic(beside, &(float){(float)i}, sizeof(float), 0644, &err), err);
        _cleanup_session_ struct session *session = session_open(path, &cpu, cache, &err);
        assert_ok(session, err);
        expect_output(session, (float)i);
    }
}

static void test_the_optimised_graph_is_used_again(void **state) {
    _cleanup_free_ char *cache = scratch_path(state, "deep/cache");
    open_and_run(cache);
    _cleanup_free_ char *file = only_file(cache);
    ino_t inode = inode_of(file);
    open_and_run(cache);
    _cleanup_free_ char *again = only_file(cache);
    assert_string_equal(file, again);
    assert_int_equal(inode_of(again), inode);
}

/* Proves that the cached file is what gets loaded: another network put in its place under a fitting name. */
static void test_the_cached_graph_is_what_runs(void **state) {
    _cleanup_free_ char *cache = scratch_path(state, "cache"), *other = scratch_path(state, "other.onnx");
    struct onnx_tensor in = {.name = "other", .rank = 1, .dims = {1}}, out = {.name = "y", .rank = 1, .dims = {1}};
    char key[33];
    struct error err;
    assert_ok(directory_make(cache, &err), err);
    onnx_write(other, &in, 1, &out, 1);
    assert_ok(graph_cache_key(WEIGHTS "/blazeface-128.onnx", &cpu, key, &err), err);
    assert_ok(graph_cache_publish(cache, key, other, &err), err);
    _cleanup_session_ struct session *session = session_open(WEIGHTS "/blazeface-128.onnx", &cpu, cache, &err);
    assert_ok(session, err);
    assert_string_equal(session_input(session, 0)->name, "other");
}

static void test_a_damaged_graph_is_built_again(void **state) {
    _cleanup_free_ char *cache = scratch_path(state, "cache");
    _cleanup_buffer_ struct buffer graph = {0};
    char key[33];
    struct error err;
    open_and_run(cache);
    _cleanup_free_ char *file = only_file(cache);
    assert_ok(file_read(file, 1 << 24, &graph, &err), err);
    graph.data[graph.length / 2] ^= 1; /* in the middle of the weights: it would load */
    assert_ok(file_write_atomic(file, graph.data, graph.length, 0644, &err), err);
    open_and_run(cache);
    _cleanup_free_ char *repaired = only_file(cache);
    assert_ok(graph_cache_key(WEIGHTS "/blazeface-128.onnx", &cpu, key, &err), err);
    _cleanup_free_ char *whole = graph_cache_find(cache, key);
    assert_non_null(whole);
    assert_string_equal(whole, repaired);
}

static void test_a_cache_that_cannot_be_written_is_no_failure(void **state) {
    _cleanup_free_ char *file = scratch_path(state, "file"), *cache = scratch_path(state, "file/cache");
    struct error err;
    assert_ok(file_write_atomic(file, "", 0, 0644, &err), err);
    open_and_run(cache);
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices),
        SCRATCH_TEST(test_another_weight),
        SCRATCH_TEST(test_weights_beside_the_file_are_not_cached),
        SCRATCH_TEST(test_bad_files),
        SCRATCH_TEST(test_a_run_fills_the_callers_memory),
        SCRATCH_TEST(test_types_and_outputs_that_nobody_asks_for),
        SCRATCH_TEST(test_the_optimised_graph_is_used_again),
        SCRATCH_TEST(test_the_cached_graph_is_what_runs),
        SCRATCH_TEST(test_a_damaged_graph_is_built_again),
        SCRATCH_TEST(test_a_cache_that_cannot_be_written_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
