/* Inside the model room only: what its files share about ONNX Runtime. */
#pragma once

#include <onnxruntime_c_api.h>

#include "base/error.h"
#include "model/tensor.h"

/* The C API and the one OrtEnv of the process, made on first use; its warnings go to our log. NULL with
 * model.run. */
const OrtApi *runtime_api(const OrtEnv **environment, struct error *err) must_check;
/* True for a NULL status; else releases it and sets `code`, or model.memory when an allocation failed, with "what:
 * ORT's message". */
bool runtime_passed(const OrtApi *ort, OrtStatus *status, enum error_code code, const char *what,
                    struct error *err) must_check;
enum { RUNTIME_CPU = -1 };
/* Session options for the CUDA card `card`, or for the CPU with RUNTIME_CPU and `threads` (0: as many as cores). NULL
 * with model.device or model.run. The caller releases them with ort->ReleaseSessionOptions. */
OrtSessionOptions *runtime_options(const OrtApi *ort, int card, int threads, struct error *err) must_check;
/* ONNX's number of a type, which a file and the runtime use alike. */
ONNXTensorElementDataType runtime_element(enum tensor_type type);
