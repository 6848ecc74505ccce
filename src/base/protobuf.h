/* Reading protobuf's wire format (https://protobuf.dev/programming-guides/encoding/): fields of a message in memory,
 * one after the other. What a field means is the caller's to know. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

enum protobuf_wire { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

/* The rest of a message, borrowed. */
struct protobuf {
    const unsigned char *at, *end;
};

struct protobuf_field {
    uint64_t number; /* from 1 */
    enum protobuf_wire wire;
    uint64_t value;        /* of PROTOBUF_VARINT */
    struct protobuf bytes; /* of PROTOBUF_BYTES: a text, bytes, a message or packed numbers */
};

static inline struct protobuf protobuf_of(const void *bytes, size_t length) {
    return (struct protobuf){bytes, (const unsigned char *)bytes + length};
}
static inline size_t protobuf_length(struct protobuf rest) { return (size_t)(rest.end - rest.at); }
/* Reads the next field of a message that is not at its end. False when there is none: the bytes are no message. */
bool protobuf_read(struct protobuf *rest, struct protobuf_field *field) must_check;
/* A number out of a field of packed ones, which is not at its end. */
bool protobuf_read_varint(struct protobuf *rest, uint64_t *value) must_check;
/* Whether the text is this word. */
bool protobuf_equals(struct protobuf text, const char *word);
