#include "base/protobuf.h"

#include <string.h>

/* At most ten bytes of seven bits each, least significant first; the tenth holds the 64th bit alone. */
bool protobuf_read_varint(struct protobuf *rest, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 70 && rest->at < rest->end; shift += 7) {
        unsigned char byte = *rest->at++;
        if (shift == 63 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool protobuf_skip(struct protobuf *rest, uint64_t length) {
    if (length > protobuf_length(*rest))
        return false;
    rest->at += length;
    return true;
}

static bool protobuf_read_bytes(struct protobuf *rest, struct protobuf *bytes) {
    uint64_t length;
    if (!protobuf_read_varint(rest, &length))
        return false;
    bytes->at = rest->at;
    bytes->end = rest->at + MIN(length, (uint64_t)protobuf_length(*rest));
    return protobuf_skip(rest, length);
}

bool protobuf_read(struct protobuf *rest, struct protobuf_field *field) {
    uint64_t tag;
    if (!protobuf_read_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    *field = (struct protobuf_field){.number = tag >> 3, .wire = tag & 7};
    switch (field->wire) {
    case PROTOBUF_VARINT:
        return protobuf_read_varint(rest, &field->value);
    case PROTOBUF_FIXED64:
        return protobuf_skip(rest, 8);
    case PROTOBUF_FIXED32:
        return protobuf_skip(rest, 4);
    case PROTOBUF_BYTES:
        return protobuf_read_bytes(rest, &field->bytes);
    default:
        return false;
    }
}

bool protobuf_equals(struct protobuf text, const char *word) {
    size_t length = protobuf_length(text);
    return length == strlen(word) && memcmp(text.at, word, length) == 0;
}
