/* The state of the farm in the Prometheus text format; docs/metrics.md lists the names. Private to this room. */
#pragma once

#include "base/buffer.h"
#include "server/reading.h"

/* Appends heads and rows of all that the reading holds. */
void metrics_write_farm(struct buffer *out, const struct reading *reading);
