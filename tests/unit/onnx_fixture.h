/* Writes small ONNX files by hand: a graph whose outputs are constants, whatever goes in, or copies of inputs. The
 * protobuf field numbers are those of onnx.proto. */
#pragma once

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_DOUBLE = 11, ONNX_FLOAT16 = 10 };

struct onnx_tensor {
    const char *name;
    int rank;
    int64_t dims[6];      /* -1: free (1 in the constant) */
    const float *values;  /* of an output; NULL: zeros */
    const char *copied;   /* of an output: it is a copy of the input of this name */
    const char *location; /* of an output: the file that has its values */
    int type;             /* of an input or a copy; 0: float */
};

static inline void pb_varint(struct buffer *out, uint64_t value) {
    for (; value > 127; value >>= 7)
        buffer_append(out, &(char){(char)(value | 128)}, 1);
    buffer_append(out, &(char){(char)value}, 1);
}

static inline void pb_number(struct buffer *out, int field, uint64_t value) {
    pb_varint(out, (uint64_t)field << 3);
    pb_varint(out, value);
}

static inline void pb_bytes(struct buffer *out, int field, const void *data, size_t length) {
    pb_varint(out, (uint64_t)field << 3 | 2);
    pb_varint(out, length);
    buffer_append(out, data, length);
}

static inline void pb_text(struct buffer *out, int field, const char *text) {
    pb_bytes(out, field, text, strlen(text));
}

static inline void pb_message(struct buffer *out, int field, struct buffer *message) {
    pb_bytes(out, field, message->data, message->length);
    buffer_free(message);
}

static inline void onnx_value_info(struct buffer *graph, int field, const struct onnx_tensor *tensor, int type) {
    struct buffer shape = {0}, tensor_type = {0}, type_proto = {0}, info = {0};
    for (int i = 0; i < tensor->rank; i++) {
        struct buffer dim = {0};
        if (tensor->dims[i] < 0)
            pb_text(&dim, 2, "free");
        else
            pb_number(&dim, 1, (uint64_t)tensor->dims[i]);
        pb_message(&shape, 1, &dim);
    }
    pb_number(&tensor_type, 1, (uint64_t)type);
    pb_message(&tensor_type, 2, &shape);
    pb_message(&type_proto, 1, &tensor_type);
    pb_text(&info, 1, tensor->name);
    pb_message(&info, 2, &type_proto);
    pb_message(graph, field, &info);
}

/* The rest of a tensor whose bytes lie in a file beside the model. */
static inline void onnx_external(struct buffer *tensor, const char *location, size_t offset, size_t length) {
    char numbers[2][32];
    snprintf(numbers[0], sizeof numbers[0], "%zu", offset);
    snprintf(numbers[1], sizeof numbers[1], "%zu", length);
    const char *entries[][2] = {{"location", location}, {"offset", numbers[0]}, {"length", numbers[1]}};
    for (size_t i = 0; i < 3; i++) {
        struct buffer entry = {0};
        pb_text(&entry, 1, entries[i][0]);
        pb_text(&entry, 2, entries[i][1]);
        pb_message(tensor, 13, &entry);
    }
    pb_number(tensor, 14, 1);
}

static inline void onnx_constant(struct buffer *graph, const char *name, const struct onnx_tensor *tensor) {
    struct buffer constant = {0};
    size_t count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t dim = tensor->dims[i] < 0 ? 1 : tensor->dims[i];
        pb_number(&constant, 1, (uint64_t)dim);
        count *= (size_t)dim;
    }
    pb_number(&constant, 2, ONNX_FLOAT);
    pb_text(&constant, 8, name);
    _cleanup_free_ float *zeros = xnew_array(float, count);
    if (tensor->location)
        onnx_external(&constant, tensor->location, 0, count * sizeof(float));
    else
        pb_bytes(&constant, 9, tensor->values ? tensor->values : zeros, count * sizeof(float));
    pb_message(graph, 5, &constant);
}

/* output = Identity(constant or input). */
static inline void onnx_output(struct buffer *graph, const struct onnx_tensor *tensor) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", tensor->copied ? "" : "constant_",
             tensor->copied ? tensor->copied : tensor->name);
    struct buffer node = {0};
    pb_text(&node, 1, name);
    pb_text(&node, 2, tensor->name);
    pb_text(&node, 4, "Identity");
    pb_message(graph, 1, &node);
    if (!tensor->copied)
        onnx_constant(graph, name, tensor);
    onnx_value_info(graph, 12, tensor, tensor->type ? tensor->type : ONNX_FLOAT);
}

static inline void onnx_write(const char *path, const struct onnx_tensor *inputs, int input_count,
                              const struct onnx_tensor *outputs, int output_count) {
    struct buffer graph = {0}, opset = {0}, model = {0};
    struct error err;
    for (int i = 0; i < output_count; i++)
        onnx_output(&graph, &outputs[i]);
    pb_text(&graph, 2, "fixture");
    for (int i = 0; i < input_count; i++)
        onnx_value_info(&graph, 11, &inputs[i], inputs[i].type ? inputs[i].type : ONNX_FLOAT);
    pb_text(&opset, 1, "");
    pb_number(&opset, 2, 13);
    pb_number(&model, 1, 8);
    pb_message(&model, 7, &graph);
    pb_message(&model, 8, &opset);
    if (!file_write_atomic(path, model.data, model.length, 0644, &err))
        fail_msg("%s", err.message);
    buffer_free(&model);
}
