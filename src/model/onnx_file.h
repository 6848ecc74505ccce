/* What an .onnx file says of itself, read without ONNX Runtime, which neither tells which other files a model needs nor
 * where its weights lie. Field numbers are those of onnx.proto
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Inside the model room only. */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum { ONNX_RANK_MAX = 8 };

/* An initializer of the graph. */
struct onnx_weight {
    char *name;
    int type; /* TensorProto.DataType: 1 float32, 7 int64, 10 float16 */
    int rank;
    int64_t dims[ONNX_RANK_MAX];
    char *location;        /* the file beside the model that has its bytes; NULL: the model itself */
    uint64_t offset, size; /* of its bytes in that file; size 0: they are spelt out as numbers */
};

struct onnx_node {
    char *operator, * name; /* "MatMul", "/mid_block/attentions.0/.../to_q/MatMul" */
    char *scope;            /* modules that it comes from, as torch's newer exporter writes them; NULL: unknown */
    char **inputs;
    size_t input_count;
    char *output;         /* the first one; NULL: none */
    bool is_transposed_b; /* of a Gemm: its second input is */
};

struct onnx_file {
    struct onnx_weight *weights;
    size_t weight_count;
    struct onnx_node *nodes;
    size_t node_count;
    char **locations; /* of all files that it needs besides, each once */
    size_t location_count;
};

/* Reads the file's graph; the caller frees. model.not_found, io; model.invalid when it is no ONNX file, or names a file
 * that does not lie beside it or below. */
struct onnx_file *onnx_file_read(const char *path, struct error *err) must_check;
/* The same from memory; `name` is what errors call it. */
struct onnx_file *onnx_file_parse(const void *bytes, size_t length, const char *name, struct error *err) must_check;
void onnx_file_free(struct onnx_file *file);
DEFINE_CLEANUP(struct onnx_file *, onnx_file_free)
#define _cleanup_onnx_file_ _cleanup_(onnx_file_free_cleanup)
