/* model: networks. ONNX Runtime behind one session type, the zoo of manifests, and one file a role.
 *
 * It promises: a model is bound by rank and shape, never by luck; what does not fit is said before the first
 * frame; a batch has one fixed shape, so that nothing is tuned or allocated twice. It knows nothing of queues
 * and campaigns. */
#pragma once

#include "model/add.h"
#include "model/detect.h"
#include "model/enhance.h"
#include "model/lips.h"
#include "model/mesh.h"
#include "model/session.h"
#include "model/zoo.h"

/* Keeps ONNX Runtime from reporting home; for a `main`, as base/process.h says, and before any session is made. */
void model_process_begin(void);
