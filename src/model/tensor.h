/* Types of a tensor's elements. */
#pragma once

#include <stddef.h>

enum tensor_type { TENSOR_FLOAT32, TENSOR_FLOAT16, TENSOR_INT32, TENSOR_INT64, TENSOR_TYPE_COUNT };

/* "float32", "float16", "int32", "int64". Static. */
const char *tensor_type_name(enum tensor_type type);
/* Of one element. */
size_t tensor_type_bytes(enum tensor_type type);
