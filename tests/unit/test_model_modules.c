/* Which weight of an exported network is which module's. */
#include "model_fixture.h"

#include "model/modules.h"

/* A weight of `rows` by `columns` whose numbers are 0, 1, ... as float32; two further dimensions when `kernel`. */
static void add_weight(struct buffer *graph, const char *name, int rows, int columns, int kernel,
                       const char *location) {
    struct buffer tensor = {0};
    float values[256];
    size_t count = (size_t)(rows * columns * (kernel ? kernel * kernel : 1));
    for (size_t i = 0; i < count; i++)
        values[i] = (float)i;
    pb_number(&tensor, 1, (uint64_t)rows);
    pb_number(&tensor, 1, (uint64_t)columns);
    for (int i = 0; kernel && i < 2; i++)
        pb_number(&tensor, 1, (uint64_t)kernel);
    pb_number(&tensor, 2, ONNX_FLOAT);
    pb_text(&tensor, 8, name);
    if (location)
        onnx_external(&tensor, location, 8, count * sizeof *values);
    else
        pb_bytes(&tensor, 9, values, count * sizeof *values);
    pb_message(graph, 5, &tensor);
}

enum transposed { PLAIN, TRANSPOSED };

static void add_node(struct buffer *graph, const char *operator, const char * name, const char *scope,
                     const char *weight, const char *output, enum transposed b) {
    struct buffer node = {0}, attribute = {0}, entry = {0};
    bool passes =
        strcmp(operator, "Transpose") == 0 || strcmp(operator, "Cast") == 0 || strcmp(operator, "Identity") == 0;
    if (!passes)
        pb_text(&node, 1, "x");
    pb_text(&node, 1, weight);
    pb_text(&node, 2, output);
    pb_text(&node, 3, name);
    pb_text(&node, 4, operator);
    pb_text(&attribute, 1, "transB");
    pb_number(&attribute, 3, b == TRANSPOSED);
    pb_message(&node, 5, &attribute);
    pb_text(&entry, 1, "pkg.torch.onnx.name_scopes");
    pb_text(&entry, 2, scope);
    if (*scope)
        pb_message(&node, 9, &entry);
    buffer_free(&entry);
    pb_message(graph, 1, &node);
}

static struct modules *open_graph(void **state, struct buffer *graph) {
    _cleanup_free_ char *path = scratch_path(state, "model.onnx");
    struct buffer model = {0};
    struct error err;
    pb_number(&model, 1, 8);
    pb_message(&model, 7, graph);
    assert_ok(file_write_atomic(path, model.data, model.length, 0644, &err), err);
    buffer_free(&model);
    struct modules *modules = modules_open(path, "unet", &err);
    assert_ok(modules, err);
    return modules;
}

static void expect(const struct modules *modules, size_t index, const char *name, int64_t rows, int64_t columns,
                   enum transposed transposed) {
    assert_true(index < modules_count(modules));
    const struct module *module = modules_get(modules, index);
    assert_string_equal(module->name, name);
    assert_int_equal(module->rows, rows);
    assert_int_equal(module->columns, columns);
    assert_int_equal(module->transposed, transposed == TRANSPOSED);
}

static void test_names_and_layouts(void **state) {
    struct buffer graph = {0};
    add_weight(&graph, "onnx::MatMul_7", 2, 3, 0, NULL);
    add_weight(&graph, "a.to_k.weight", 3, 2, 0, NULL);
    add_weight(&graph, "val_1", 2, 3, 0, NULL);
    add_weight(&graph, "time.weight", 3, 2, 0, NULL);
    add_weight(&graph, "other", 2, 3, 0, NULL);
    add_weight(&graph, "conv_in.weight", 4, 2, 3, NULL);
    add_node(&graph, "MatMul", "/down_blocks.1/attentions.0/to_q/MatMul", "", "onnx::MatMul_7", "q", PLAIN);
    add_node(&graph, "Transpose", "/a/to_k/Transpose", "", "a.to_k.weight", "turned", PLAIN);
    add_node(&graph, "Cast", "/a/to_k/Cast", "", "turned", "cast", PLAIN);
    add_node(&graph, "MatMul", "/elsewhere/MatMul", "", "cast", "k", PLAIN);
    add_node(&graph, "Identity", "node_Identity", "", "val_1", "val_2", PLAIN);
    add_node(&graph, "MatMul", "node_MatMul_3", "['', 'mid_block', 'mid_block.to_out.0', 'linear']", "val_2", "o",
             PLAIN);
    add_node(&graph, "Gemm", "/time/Gemm", "", "time.weight", "t", TRANSPOSED);
    add_node(&graph, "Gemm", "/other/Gemm", "", "other", "u", PLAIN);
    add_node(&graph, "Conv", "", "", "conv_in.weight", "c", PLAIN);
    _cleanup_modules_ struct modules *modules = open_graph(state, &graph);
    expect(modules, 0, "unet.down_blocks.1.attentions.0.to_q", 3, 2, TRANSPOSED);
    expect(modules, 1, "unet.a.to_k", 3, 2, PLAIN);
    expect(modules, 2, "unet.mid_block.to_out.0", 3, 2, TRANSPOSED);
    expect(modules, 3, "unet.time", 3, 2, PLAIN);
    expect(modules, 4, "unet.other", 3, 2, TRANSPOSED);
    expect(modules, 5, "unet.conv_in", 4, 2 * 3 * 3, PLAIN);
    assert_int_equal(modules_count(modules), 6);
    assert_int_equal(modules_sum(modules).numbers, 5 * 6 + 72);
    assert_int_equal(modules_sum(modules).bytes, 4 * (5 * 6 + 72));
}

static void test_a_weight_of_two_modules_is_left_out(void **state) {
    struct buffer graph = {0};
    add_weight(&graph, "both", 2, 3, 0, NULL);
    add_weight(&graph, "tied", 2, 3, 0, NULL);
    add_weight(&graph, "twice", 2, 3, 0, NULL);
    add_node(&graph, "MatMul", "/a/MatMul", "", "both", "1", PLAIN);
    add_node(&graph, "Identity", "/i/Identity", "", "both", "copy", PLAIN);
    add_node(&graph, "MatMul", "/b/MatMul", "", "copy", "2", PLAIN);
    add_node(&graph, "Gather", "/words/Gather", "", "tied", "3", PLAIN);
    add_node(&graph, "MatMul", "/head/MatMul", "", "tied", "4", PLAIN);
    add_node(&graph, "MatMul", "/c/MatMul", "", "twice", "5", PLAIN);
    add_node(&graph, "MatMul", "/c/MatMul_1", "", "twice", "6", PLAIN);
    _cleanup_modules_ struct modules *modules = open_graph(state, &graph);
    assert_int_equal(modules_count(modules), 1);
    expect(modules, 0, "unet.c", 3, 2, TRANSPOSED);
    assert_int_equal(modules_shared(modules), 2);
}

/* No path, a path of nothing, a circle, a turned convolution, and what is no weight. */
static void test_what_is_no_module(void **state) {
    struct buffer graph = {0};
    add_weight(&graph, "w", 2, 3, 0, NULL);
    add_weight(&graph, "v", 2, 3, 0, NULL);
    add_weight(&graph, "k", 2, 3, 1, NULL);
    add_node(&graph, "MatMul", "MatMul_12", "", "w", "1", PLAIN);
    add_node(&graph, "MatMul", "/MatMul", "['', 'linear']", "v", "2", PLAIN);
    add_node(&graph, "Transpose", "/t/Transpose", "", "k", "turned", PLAIN);
    add_node(&graph, "Conv", "/c/Conv", "", "turned", "3", PLAIN);
    add_node(&graph, "Identity", "/i/Identity", "", "circle", "circle", PLAIN);
    add_node(&graph, "MatMul", "/d/MatMul", "", "circle", "4", PLAIN);
    add_node(&graph, "MatMul", "/e/MatMul", "", "x", "5", PLAIN);
    _cleanup_modules_ struct modules *modules = open_graph(state, &graph);
    assert_int_equal(modules_count(modules), 0);
}

static void test_weights_are_read_where_they_lie(void **state) {
    struct buffer graph = {0};
    struct error err;
    float values[6], beside[] = {-1, -1, 6, 5, 4, 3, 2, 1};
    _cleanup_free_ char *path = scratch_path(state, "weights");
    add_weight(&graph, "here", 2, 3, 0, NULL);
    add_weight(&graph, "there", 2, 3, 0, "weights");
    add_node(&graph, "MatMul", "/a/MatMul", "", "here", "1", PLAIN);
    add_node(&graph, "MatMul", "/b/MatMul", "", "there", "2", PLAIN);
    _cleanup_modules_ struct modules *modules = open_graph(state, &graph);
    assert_string_equal(modules_file(modules, 0), "weights");
    assert_null(modules_file(modules, 1));
    assert_int_equal(module_bytes(modules_get(modules, 1)), sizeof values);
    assert_ok(modules_read(modules, 0, values, &err), err);
    assert_memory_equal(values, ((float[]){0, 1, 2, 3, 4, 5}), sizeof values);
    assert_error(modules_read(modules, 1, values, &err), ERR_IO, "weights", err);
    assert_ok(file_write_atomic(path, beside, sizeof beside, 0644, &err), err);
    assert_ok(modules_read(modules, 1, values, &err), err);
    assert_memory_equal(values, beside + 2, sizeof values);
    assert_ok(file_write_atomic(path, beside, sizeof beside - 1, 0644, &err), err);
    assert_error(modules_read(modules, 1, values, &err), ERR_MODEL_INVALID, "cut off", err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_names_and_layouts),
        SCRATCH_TEST(test_a_weight_of_two_modules_is_left_out),
        SCRATCH_TEST(test_what_is_no_module),
        SCRATCH_TEST(test_weights_are_read_where_they_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
