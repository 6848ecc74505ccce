/* The farm's figures for CloudWatch, as lines of the embedded metric format on stdout. Private to this room. */
#pragma once

#include "server/context.h"

struct cloudwatch;

/* Starts a thread that writes at once and then every `period_ms` until the server's lifetime is over; while Redis does
 * not answer only that, and that this server lives. docs/metrics.md lists the names. All arguments are borrowed.
 * NULL with internal. */
struct cloudwatch *cloudwatch_start(const struct api *api, const char *name_space, int64_t period_ms,
                                    struct error *err) must_check;
/* Waits for the thread, whose lifetime must be over, and frees. */
void cloudwatch_stop(struct cloudwatch *cloudwatch);
