/* CloudWatch's embedded metric format: a log line that is one JSON object with "_aws" at its root; CloudWatch Logs
 * makes metrics of the members that it names. It stands here because the API server and `mela-worker check` write it.
 * At most 100 metrics and 30 dimensions a record.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 *
 * It is in base because the API server and the command `mela-worker check` both write it, and mela-worker links no
 * server. */
#pragma once

#include "base/json.h"

/* config.invalid when CloudWatch would not take this namespace: 1 to 255 letters, digits and . - _ / # :, not beginning
 * with a colon. */
bool emf_check_namespace(const char *name, struct error *err) must_check;
/* A record without dimensions and metrics, of a Unix time in ms. New reference. */
json_t *emf_record(const char *name_space, int64_t time_ms);
/* Adds to the record's one set of dimensions; the strings are copied. */
void emf_add_dimension(json_t *record, const char *name, const char *value);
/* `unit` is one of CloudWatch's: "Count", "Seconds", "None". Steals the reference to the value, a number. */
void emf_add_metric(json_t *record, const char *name, const char *unit, json_t *value);
