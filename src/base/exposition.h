/* Prometheus' text format, version 0.0.4, which GET /metrics answers in. It stands here because the API server, the
 * worker's exporter and the store, which share no other room, write it.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#pragma once

#include "base/buffer.h"

#define EXPOSITION_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What stands before a metric's rows; `type` is "counter", "gauge" or "histogram". */
void metric_head(struct buffer *out, const char *name, const char *type, const char *help);
/* One row. Behind the value come names and values of its labels by turns; the values are escaped. */
#define metric_row(out, name, ...) metric_row_labelled(out, name, __VA_ARGS__, (const char *)NULL)
void metric_row_labelled(struct buffer *out, const char *name, double value, ...) __attribute__((sentinel));
/* Head and row of a metric that has one row and no labels. */
void metric_one(struct buffer *out, const char *name, const char *type, const char *help, double value);
/* What this process takes of its machine. */
void metric_process(struct buffer *out);
