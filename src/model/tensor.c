#include "model/tensor.h"

#include "base/cleanup.h"

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [TENSOR_FLOAT32] = {"float32", 4},
    [TENSOR_FLOAT16] = {"float16", 2},
    [TENSOR_INT32] = {"int32", 4},
    [TENSOR_INT64] = {"int64", 8},
};
_Static_assert(ARRAY_LENGTH(types) == TENSOR_TYPE_COUNT, "one a type");

const char *tensor_type_name(enum tensor_type type) { return types[type].name; }
size_t tensor_type_bytes(enum tensor_type type) { return types[type].bytes; }
