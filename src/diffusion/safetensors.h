/* safetensors: tensors in one file, by name (github.com/huggingface/safetensors). Read strictly: what the format's own
 * reader refuses is refused, so that a file says one thing to everybody, and its size bounds what it can cost. */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum { TENSOR_RANK = 8, SAFETENSORS_HEADER = 16 << 20 }; /* at most; the format allows headers of 100 MB */

struct tensor_entry {
    const char *name;
    const char *type; /* "F32", "F16", "BF16", "F64", "I64", ... */
    int rank;         /* 0: one value */
    int64_t shape[TENSOR_RANK];
    int64_t count;       /* of values; may be 0 */
    uint64_t begin, end; /* of its bytes, from the end of the header */
};

struct safetensors;

/* weights.invalid says what is wrong with the file; io when it cannot be read. The caller closes it. */
struct safetensors *safetensors_open(const char *path, struct error *err) must_check;
void safetensors_close(struct safetensors *file);
DEFINE_CLEANUP(struct safetensors *, safetensors_close)
#define _cleanup_safetensors_ _cleanup_(safetensors_close_cleanup)

/* All tensors, in the order of their names; borrowed. */
const struct tensor_entry *safetensors_entries(const struct safetensors *file, size_t *count);
/* What the file's metadata say under this key; NULL when they do not. Borrowed. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);
/* Reads `entry->count` values of F64, F32, F16 or BF16. weights.invalid for other types and a file that has been cut
 * since; io. */
bool safetensors_read(const struct safetensors *file, const struct tensor_entry *entry, float *out,
                      struct error *err) must_check;
