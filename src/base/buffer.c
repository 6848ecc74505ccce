#include "base/buffer.h"

#include <stdarg.h>
#include <string.h>

#include "base/memory.h"

void buffer_reserve(struct buffer *buffer, size_t more) {
    size_t need = buffer->length + more + 1;
    if (need <= buffer->capacity)
        return;
    buffer->capacity = MAX(need, MAX(buffer->capacity * 2, 64));
    buffer->data = xreallocarray(buffer->data, buffer->capacity, 1);
}

void buffer_append(struct buffer *buffer, const void *data, size_t length) {
    buffer_reserve(buffer, length);
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void buffer_append_text(struct buffer *buffer, const char *text) { buffer_append(buffer, text, strlen(text)); }

/* From the last digit to the first; negation is done unsigned, since -INT64_MIN is no int64_t. */
void buffer_append_integer(struct buffer *buffer, int64_t value) {
    char text[24], *digit = text + sizeof text;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        *--digit = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        *--digit = '-';
    buffer_append(buffer, digit, (size_t)(text + sizeof text - digit));
}

void buffer_appendf(struct buffer *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0) {
        buffer_reserve(buffer, (size_t)length);
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void buffer_clear(struct buffer *buffer) {
    buffer->length = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

char *buffer_steal(struct buffer *buffer) {
    buffer_reserve(buffer, 0);
    buffer->data[buffer->length] = '\0';
    char *data = buffer->data;
    *buffer = (struct buffer){0};
    return data;
}
