/* The messages of KEDA's external scaler (pkg/scalers/externalscaler/externalscaler.proto, v2.20) in protobuf's wire
 * format. Pure. Private to this room. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum { MESSAGE_TEXT_MAX = 256 }; /* bytes of a name or value that is of use to us; longer ones are refused */

/* ScaledObjectRef: who asks, and the metadata that we know. "" where it said nothing. */
struct scaled_object {
    char pool[MESSAGE_TEXT_MAX + 1], class[MESSAGE_TEXT_MAX + 1], farm[MESSAGE_TEXT_MAX + 1];
};

/* Each reads `length` bytes from anywhere; fields and metadata it does not know are skipped. False with
 * api.bad_request when they are not such a message. */
bool message_read_object(const void *bytes, size_t length, struct scaled_object *out, struct error *err) must_check;
/* GetMetricsRequest. */
bool message_read_metrics_request(const void *bytes, size_t length, struct scaled_object *out,
                                  char metric[MESSAGE_TEXT_MAX + 1], struct error *err) must_check;

/* Each appends one message. Both the integer and the float field are set: which one KEDA reads depends on its version.
 */
void message_write_active(struct buffer *out, bool active);
void message_write_spec(struct buffer *out, const char *metric, int64_t target);
void message_write_value(struct buffer *out, const char *metric, int64_t value);
