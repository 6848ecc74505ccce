/* What an ONNX file says of its weights, nodes and other files. */
#include "model_fixture.h"

#include "model/onnx_file.h"
#include "onnx_fixture.h"

/* A TensorProto of two by three half floats, in `location` or, for NULL, in the file itself. */
static struct buffer tensor_of(const char *name, const char *location) {
    struct buffer tensor = {0};
    pb_number(&tensor, 1, 2);
    pb_number(&tensor, 1, 3);
    pb_number(&tensor, 2, ONNX_FLOAT16);
    pb_text(&tensor, 8, name);
    if (location)
        onnx_external(&tensor, location, 4096, 12);
    else
        pb_bytes(&tensor, 9, "ABCDEFGHIJKL", 12);
    return tensor;
}

static struct buffer model_of(struct buffer *graph) {
    struct buffer model = {0};
    pb_number(&model, 1, 8);
    pb_message(&model, 7, graph);
    return model;
}

static struct onnx_file *parse(struct buffer *model, struct error *err) {
    return onnx_file_parse(model->data, model->length, "it", err);
}

static void test_weights_and_where_they_lie(void **state) {
    struct buffer graph = {0}, here = tensor_of("here", NULL), there = tensor_of("there", "weights/unet.data");
    pb_message(&graph, 5, &here);
    pb_message(&graph, 5, &there);
    _cleanup_buffer_ struct buffer model = model_of(&graph);
    struct error err;
    _cleanup_onnx_file_ struct onnx_file *file = parse(&model, &err);
    assert_ok(file, err);
    assert_int_equal(file->weight_count, 2);
    const struct onnx_weight *weight = &file->weights[0];
    assert_string_equal(weight->name, "here");
    assert_int_equal(weight->type, ONNX_FLOAT16);
    assert_int_equal(weight->rank, 2);
    assert_int_equal(weight->dims[1], 3);
    assert_null(weight->location);
    assert_memory_equal(model.data + weight->offset, "ABCDEFGHIJKL", weight->size);
    weight = &file->weights[1];
    assert_string_equal(weight->location, "weights/unet.data");
    assert_int_equal(weight->offset, 4096);
    assert_int_equal(weight->size, 12);
    assert_int_equal(file->location_count, 1);
}

static void test_nodes(void **state) {
    struct buffer graph = {0}, node = {0}, attribute = {0}, scope = {0};
    pb_text(&attribute, 1, "transB");
    pb_number(&attribute, 3, 1);
    pb_text(&scope, 1, "pkg.torch.onnx.name_scopes");
    pb_text(&scope, 2, "['', 'mid_block', 'linear']");
    pb_text(&node, 1, "x");
    pb_text(&node, 1, "val_3");
    pb_text(&node, 2, "y");
    pb_text(&node, 3, "/mid_block/linear/Gemm");
    pb_text(&node, 4, "Gemm");
    pb_message(&node, 5, &attribute);
    pb_message(&node, 9, &scope);
    pb_message(&graph, 1, &node);
    _cleanup_buffer_ struct buffer model = model_of(&graph);
    struct error err;
    _cleanup_onnx_file_ struct onnx_file *file = parse(&model, &err);
    assert_ok(file, err);
    assert_int_equal(file->node_count, 1);
    const struct onnx_node *read = &file->nodes[0];
    assert_string_equal(read->operator, "Gemm");
    assert_string_equal(read->name, "/mid_block/linear/Gemm");
    assert_string_equal(read->scope, "['', 'mid_block', 'linear']");
    assert_int_equal(read->input_count, 2);
    assert_string_equal(read->inputs[1], "val_3");
    assert_string_equal(read->output, "y");
    assert_true(read->is_transposed_b);
}

static void test_files_outside_the_folder_are_refused(void **state) {
    static const char *const locations[] = {"/etc/passwd", "../x", "a/../../x", "", ".", "a//b", "a/", ".."};
    for (size_t i = 0; i < ARRAY_LENGTH(locations); i++) {
        struct buffer graph = {0}, tensor = tensor_of("w", locations[i]);
        pb_message(&graph, 5, &tensor);
        _cleanup_buffer_ struct buffer model = model_of(&graph);
        struct error err;
        assert_error(parse(&model, &err), ERR_MODEL_INVALID, "outside its own folder", err);
    }
}

/* A node may hold tensors, and graphs that hold nodes: there too. */
static void test_files_of_inner_graphs_are_found(void **state) {
    struct buffer inner = {0}, tensor = tensor_of("w", "../x"), attribute = {0}, node = {0}, graph = {0};
    pb_message(&inner, 5, &tensor);
    pb_text(&attribute, 1, "then_branch");
    pb_message(&attribute, 6, &inner);
    pb_text(&node, 4, "If");
    pb_message(&node, 5, &attribute);
    pb_message(&graph, 1, &node);
    _cleanup_buffer_ struct buffer model = model_of(&graph);
    struct error err;
    assert_error(parse(&model, &err), ERR_MODEL_INVALID, "outside its own folder", err);
}

static void test_what_is_no_onnx_file(void **state) {
    struct buffer graph = {0}, tensor = tensor_of("w", NULL);
    pb_message(&graph, 5, &tensor);
    _cleanup_buffer_ struct buffer model = model_of(&graph);
    struct error err;
    for (size_t cut = 0; cut < model.length; cut++)
        assert_error(onnx_file_parse(model.data, cut, "it", &err), ERR_MODEL_INVALID, "it is no ONNX file", err);
    _cleanup_free_ char *missing = scratch_path(state, "missing.onnx"), *empty = scratch_path(state, "empty.onnx");
    assert_error(onnx_file_read(missing, &err), ERR_MODEL_NOT_FOUND, "missing.onnx", err);
    assert_ok(file_write_atomic(empty, "", 0, 0644, &err), err);
    assert_error(onnx_file_read(empty, &err), ERR_MODEL_INVALID, "empty.onnx", err);
    _cleanup_onnx_file_ struct onnx_file *real = onnx_file_read(WEIGHTS "/blazeface-128.onnx", &err);
    assert_ok(real, err);
    assert_true(real->node_count > 50 && real->weight_count > 50);
    assert_int_equal(real->location_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_and_where_they_lie),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_files_outside_the_folder_are_refused),
        cmocka_unit_test(test_files_of_inner_graphs_are_found),
        SCRATCH_TEST(test_what_is_no_onnx_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
