/* model: networks. ONNX Runtime behind one session type, the zoo of manifests, and one file a role: detect, mesh, lips,
 * enhance.
 *
 * It promises: a tensor is bound by its rank and shape, not by its name or place; a model that does not fit is refused
 * when it is opened, before the first frame; a batch has one fixed shape, so that nothing is tuned or allocated twice.
 * Nothing is locked: one thread at a time uses a network, any number of threads use different ones. The room knows
 * nothing of queues and campaigns. */
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
