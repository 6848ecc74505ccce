#include "keda/messages.h"

#include <string.h>

#include "base/protobuf.h"

static bool message_malformed(struct error *err) {
    return error_set(err, ERR_API_BAD_REQUEST, "the request is not a message of KEDA's external scaler");
}

static bool is_bytes(const struct protobuf_field *field, uint64_t number) {
    return field->number == number && field->wire == PROTOBUF_BYTES;
}

/* Copies a text that is used as a name: not too long and without control characters. */
static bool message_copy_text(struct protobuf text, char out[MESSAGE_TEXT_MAX + 1]) {
    size_t length = protobuf_length(text);
    if (length > MESSAGE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
    memcpy(out, text.at, length);
    out[length] = '\0';
    return true;
}

/* An entry of map<string,string>: key 1, value 2. */
static bool read_metadata(struct protobuf entry, struct scaled_object *out) {
    static const unsigned char empty;
    struct protobuf key = {&empty, &empty}, value = key;
    for (struct protobuf_field field; entry.at < entry.end;) {
        if (!protobuf_read(&entry, &field))
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
    return !target || message_copy_text(value, target);
}

static bool read_object(struct protobuf rest, struct scaled_object *out) {
    for (struct protobuf_field field; rest.at < rest.end;)
        if (!protobuf_read(&rest, &field) || (is_bytes(&field, 3) && !read_metadata(field.bytes, out)))
            return false;
    return true;
}

bool message_read_object(const void *bytes, size_t length, struct scaled_object *out, struct error *err) {
    *out = (struct scaled_object){0};
    struct protobuf rest = protobuf_of(bytes, length);
    return read_object(rest, out) || message_malformed(err);
}

bool message_read_metrics_request(const void *bytes, size_t length, struct scaled_object *out,
                                  char metric[MESSAGE_TEXT_MAX + 1], struct error *err) {
    *out = (struct scaled_object){0};
    metric[0] = '\0';
    struct protobuf rest = protobuf_of(bytes, length);
    for (struct protobuf_field field; rest.at < rest.end;)
        if (!protobuf_read(&rest, &field) || (is_bytes(&field, 1) && !read_object(field.bytes, out)) ||
            (is_bytes(&field, 2) && !message_copy_text(field.bytes, metric)))
            return message_malformed(err);
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

static void write_tag(struct buffer *out, int number, enum protobuf_wire wire) {
    write_varint(out, (uint64_t)number << 3 | wire);
}

static void write_bytes(struct buffer *out, int number, const void *bytes, size_t length) {
    write_tag(out, number, PROTOBUF_BYTES);
    write_varint(out, length);
    buffer_append(out, bytes, length);
}

static void write_double(struct buffer *out, int number, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    write_tag(out, number, PROTOBUF_FIXED64);
    for (int i = 0; i < 8; i++, bits >>= 8)
        buffer_append(out, &(unsigned char){bits & 0xff}, 1);
}

void message_write_active(struct buffer *out, bool active) {
    write_tag(out, 1, PROTOBUF_VARINT);
    write_varint(out, active);
}

/* MetricSpec and MetricValue are alike: name 1, integer 2, float 3; and so are the messages around them. */
static void write_metric(struct buffer *out, const char *metric, int64_t value) {
    _cleanup_buffer_ struct buffer inner = {0};
    write_bytes(&inner, 1, metric, strlen(metric));
    write_tag(&inner, 2, PROTOBUF_VARINT);
    write_varint(&inner, (uint64_t)value);
    write_double(&inner, 3, (double)value);
    write_bytes(out, 1, inner.data, inner.length);
}

void message_write_spec(struct buffer *out, const char *metric, int64_t target) { write_metric(out, metric, target); }
void message_write_value(struct buffer *out, const char *metric, int64_t value) { write_metric(out, metric, value); }
