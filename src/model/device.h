/* What a network runs on. */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct device {
    enum { DEVICE_CPU, DEVICE_CUDA } kind;
    int index;   /* CUDA: the card's number, as the driver counts */
    int threads; /* CPU: threads of one run; 0: as many as cores */
};

/* Reads "auto", "cpu" or "cuda:N". auto is the first card when the CUDA provider and a card are usable, else the CPU.
 * model.device when the text is none of these or the card cannot be used; model.run when ONNX Runtime does not start.
 */
bool device_parse(const char *text, struct device *out, struct error *err) must_check;
/* MB of memory that there are for networks: the card's, all of it; of the CPU what this process may use now. 0:
 * unknown.
 */
int64_t device_memory_mb(const struct device *device);
