/* Sharpening a face crop: Real-ESRGAN, 4x. */
#pragma once

#include "model/device.h"
#include "model/zoo.h"

struct enhance;
/* The caller closes it. Errors as network.h says. Used by one thread at a time. */
struct enhance *enhance_open(const struct zoo *zoo, const char *name, const struct device *device,
                             struct error *err) must_check;
void enhance_close(struct enhance *enhance);
DEFINE_CLEANUP(struct enhance *, enhance_close)
#define _cleanup_enhance_ _cleanup_(enhance_close_cleanup)
/* How many pixels a side one pixel becomes. */
int enhance_scale(const struct enhance *enhance);
/* `rgb` [3][size][size] in 0 to 1; `out` [3][size * scale][size * scale], the same. model.run. */
bool enhance_run(struct enhance *enhance, int size, const float *rgb, float *out, struct error *err) must_check;
