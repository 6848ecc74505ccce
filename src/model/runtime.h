/* Inside the model room only: what its files share about ONNX Runtime. */
#pragma once

#include <onnxruntime_c_api.h>

#include "model/session.h"

/* The C API and the one OrtEnv of the process, made on first use; its warnings go to our log. NULL with
 * model.run. */
const OrtApi *runtime_api(const OrtEnv **environment, struct error *err) must_check;
/* True for a NULL status; else releases it and sets `code` with "what: ORT's message". */
bool runtime_passed(const OrtApi *ort, OrtStatus *status, enum error_code code, const char *what,
                    struct error *err) must_check;
/* Session options for `device`; NULL with model.device or model.run. Caller releases through the API. */
OrtSessionOptions *runtime_options(const OrtApi *ort, const struct device *device, struct error *err) must_check;
