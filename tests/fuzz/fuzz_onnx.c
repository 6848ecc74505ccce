/* Any bytes as an ONNX file: refused, or all that it names lies beside it and inside it. */
#include "fuzz.h"
#include "model/onnx_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    _cleanup_onnx_file_ struct onnx_file *file = onnx_file_parse(bytes, length, "it", &err);
    if (!file)
        return 0;
    for (size_t i = 0; i < file->location_count; i++)
        ensure(file->locations[i][0] != '/' && !strstr(file->locations[i], "/../") &&
               strncmp(file->locations[i], "../", 3) != 0);
    for (size_t i = 0; i < file->weight_count; i++) {
        const struct onnx_weight *weight = &file->weights[i];
        ensure(weight->name && weight->rank <= ONNX_RANK_MAX);
        ensure(weight->location || weight->offset + weight->size <= length);
    }
    return 0;
}
