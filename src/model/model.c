#include "model/model.h"

#include <stdlib.h>

/* ONNX Runtime's official builds report use to their maker, and keep a device id below the home directory, unless this
 * variable is set before ONNX Runtime starts. */
void model_process_begin(void) { setenv("ORT_DISABLE_TELEMETRY", "1", true); }
