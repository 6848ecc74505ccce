/* Face detection: BlazeFace, and RetinaFace or SCRFD when the user adds weights. */
#pragma once

#include "media/image.h"
#include "model/device.h"
#include "model/face.h"
#include "model/zoo.h"

struct detector;
/* Opens the model `name`, whose kind follows from its shapes, and runs it once. The caller closes it. Errors as
 * network.h says. Used by one thread at a time, as every network here. */
struct detector *detector_open(const struct zoo *zoo, const char *name, const struct device *device,
                               struct error *err) must_check;
void detector_close(struct detector *detector);
DEFINE_CLEANUP(struct detector *, detector_close)
#define _cleanup_detector_ _cleanup_(detector_close_cleanup)
/* The faces of one frame in frame pixels, best score first, at most `max`; *count may be 0. model.run. */
bool detector_run(struct detector *detector, const struct frame *frame, struct face *faces, int max, int *count,
                  struct error *err) must_check;
