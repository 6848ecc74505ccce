#include "keda/protobuf.h"

#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct reader {
    const unsigned char *at, *end;
};

struct field {
    uint64_t number;
    enum wire wire;
    struct reader bytes; /* of WIRE_BYTES */
};

static bool protobuf_malformed(struct error *err) {
    return error_set(err, ERR_API_BAD_REQUEST, "the request is not a message of KEDA's external scaler");
}

/* At most ten bytes of seven bits each, least significant first; the tenth holds the 64th bit alone. */
static bool read_varint(struct reader *reader, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
        unsigned char byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool protobuf_skip(struct reader *reader, uint64_t length) {
    if (length > (uint64_t)(reader->end - reader->at))
        return false;
    reader->at += length;
    return true;
}

static bool read_field(struct reader *reader, struct field *field) {
    uint64_t tag, value;
    if (!read_varint(reader, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    field->number = tag >> 3;
    field->wire = tag & 7;
    field->bytes = (struct reader){0};
    switch (field->wire) {
    case WIRE_VARINT:
        return read_varint(reader, &value);
    case WIRE_FIXED64:
        return protobuf_skip(reader, 8);
    case WIRE_FIXED32:
        return protobuf_skip(reader, 4);
    case WIRE_BYTES:
        if (!read_varint(reader, &value))
            return false;
        field->bytes.at = reader->at;
        field->bytes.end = reader->at + MIN(value, (uint64_t)(reader->end - reader->at));
        return protobuf_skip(reader, value);
    default:
        return false;
    }
}

static bool is_bytes(const struct field *field, uint64_t number) {
    return field->number == number && field->wire == WIRE_BYTES;
}

/* Copies a text that is used as a name: not too long and without control characters. */
static bool protobuf_copy_text(struct reader text, char out[PROTOBUF_TEXT_MAX + 1]) {
    size_t length = (size_t)(text.end - text.at);
    if (length > PROTOBUF_TEXT_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
    memcpy(out, text.at, length);
    out[length] = '\0';
    return true;
}

static bool protobuf_equals(struct reader text, const char *word) {
    size_t length = (size_t)(text.end - text.at);
    return length == strlen(word) && memcmp(text.at, word, length) == 0;
}

/* An entry of map<string,string>: key 1, value 2. */
static bool read_metadata(struct reader entry, struct scaled_object *out) {
    static const unsigned char empty;
    struct reader key = {&empty, &empty}, value = key;
    for (struct field field; entry.at < entry.end;) {
        if (!read_field(&entry, &field))
            return false;
        if (is_bytes(&field, 1))
            key = field.bytes;
        else if (is_bytes(&field, 2))
            value = field.bytes;
    }
    char *target = protobuf_equals(key, "pool")        ? out->pool
                   : protobuf_equals(key, "class")     ? out->class
                   : protobuf_equals(key, "namespace") ? out->farm
                                                       : NULL;
    return !target || protobuf_copy_text(value, target);
}

static bool read_object(struct reader reader, struct scaled_object *out) {
    for (struct field field; reader.at < reader.end;)
        if (!read_field(&reader, &field) || (is_bytes(&field, 3) && !read_metadata(field.bytes, out)))
            return false;
    return true;
}

bool protobuf_read_object(const void *bytes, size_t length, struct scaled_object *out, struct error *err) {
    *out = (struct scaled_object){0};
    struct reader reader = {bytes, (const unsigned char *)bytes + length};
    return read_object(reader, out) || protobuf_malformed(err);
}

bool protobuf_read_metrics_request(const void *bytes, size_t length, struct scaled_object *out,
                                   char metric[PROTOBUF_TEXT_MAX + 1], struct error *err) {
    *out = (struct scaled_object){0};
    metric[0] = '\0';
    struct reader reader = {bytes, (const unsigned char *)bytes + length};
    for (struct field field; reader.at < reader.end;)
        if (!read_field(&reader, &field) || (is_bytes(&field, 1) && !read_object(field.bytes, out)) ||
            (is_bytes(&field, 2) && !protobuf_copy_text(field.bytes, metric)))
            return protobuf_malformed(err);
    return true;
}

/* ---- writing ---- */

static void write_varint(struct buffer *out, uint64_t value) {
    do {
        unsigned char byte = (unsigned char)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        buffer_append(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static void write_tag(struct buffer *out, int number, enum wire wire) {
    write_varint(out, (uint64_t)number << 3 | wire);
}

static void write_bytes(struct buffer *out, int number, const void *bytes, size_t length) {
    write_tag(out, number, WIRE_BYTES);
    write_varint(out, length);
    buffer_append(out, bytes, length);
}

static void write_double(struct buffer *out, int number, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    write_tag(out, number, WIRE_FIXED64);
    for (int i = 0; i < 8; i++, bits >>= 8)
        buffer_append(out, &(unsigned char){bits & 0xff}, 1);
}

void protobuf_write_active(struct buffer *out, bool active) {
    write_tag(out, 1, WIRE_VARINT);
    write_varint(out, active);
}

/* MetricSpec and MetricValue are alike: name 1, integer 2, float 3; and so are the messages around them. */
static void write_metric(struct buffer *out, const char *metric, int64_t value) {
    _cleanup_buffer_ struct buffer inner = {0};
    write_bytes(&inner, 1, metric, strlen(metric));
    write_tag(&inner, 2, WIRE_VARINT);
    write_varint(&inner, (uint64_t)value);
    write_double(&inner, 3, (double)value);
    write_bytes(out, 1, inner.data, inner.length);
}

void protobuf_write_spec(struct buffer *out, const char *metric, int64_t target) { write_metric(out, metric, target); }
void protobuf_write_value(struct buffer *out, const char *metric, int64_t value) { write_metric(out, metric, value); }
