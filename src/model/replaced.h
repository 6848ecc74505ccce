/* Inside the model room only: other weights for an ONNX file, before ONNX Runtime optimises it. AddInitializer would
 * not do: on a card it leaves the file's weight in place, without an error (onnxruntime/core/framework/
 * session_state_utils.cc). What lies beside the file is given by AddExternalInitializers, which copies it; what lies
 * inside is written into a copy of the file. */
#pragma once

#include <onnxruntime_c_api.h>

#include "model/session.h"

struct replaced {
    const OrtApi *ort;
    void *bytes;   /* a changed map of the file; NULL: the file itself is to be loaded; owned */
    size_t length; /* of it */
    OrtValue **values;
    const char **names;
    size_t count; /* of weights that lie beside the file */
};

/* Makes ready what `options` need for the weights, which are borrowed while *out is used. The caller clears *out, also
 * after a failure. model.invalid when the file has no initializer of that name, type and shape; model.memory, io. */
bool replaced_prepare(const OrtApi *ort, const char *path, const struct session_weight *weights, size_t count,
                      OrtSessionOptions *options, struct replaced *out, struct error *err) must_check;
void replaced_clear(struct replaced *replaced);
