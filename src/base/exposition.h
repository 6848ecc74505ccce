/* Prometheus' text format, version 0.0.4, which GET /metrics answers in.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * It is in base because the API server and the worker both answer /metrics, and neither may include the other. Each
 * function appends to `out`. */
#pragma once

#include "base/buffer.h"

#define EXPOSITION_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The two lines before a metric's rows; `type` is "counter", "gauge" or "histogram". */
void metric_head(struct buffer *out, const char *name, const char *type, const char *help);
/* One row. After the value come its labels, name and value of each; the values are escaped. */
#define metric_row(out, name, ...) metric_row_labelled(out, name, __VA_ARGS__, (const char *)NULL)
void metric_row_labelled(struct buffer *out, const char *name, double value, ...) __attribute__((sentinel));
/* Head and row of a metric that has one row and no labels. */
void metric_one(struct buffer *out, const char *name, const char *type, const char *help, double value);
/* Memory and processor time of this process. */
void metric_process(struct buffer *out);
