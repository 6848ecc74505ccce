/* A growing run of bytes, always followed by a NUL that is not counted. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buffer {
    char *data;      /* NULL while nothing was appended */
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated */
};

/* Makes room for `more` bytes behind `length`, so that the next ones are written without allocating. */
void buffer_reserve(struct buffer *buffer, size_t more);
/* Each puts bytes behind the others. The text of buffer_appendf is formatted as by printf. */
void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_append_text(struct buffer *buffer, const char *text);
/* In decimal; much cheaper than buffer_appendf, which formats twice. */
void buffer_append_integer(struct buffer *buffer, int64_t value);
void buffer_appendf(struct buffer *buffer, const char *format, ...) printf_like(2, 3);
/* Empties the buffer and keeps its memory. */
void buffer_clear(struct buffer *buffer);
/* Releases the bytes; the buffer is empty and usable again. */
void buffer_free(struct buffer *buffer);
/* Gives the bytes to the caller, who frees them; never NULL. The buffer is empty afterwards. */
char *buffer_steal(struct buffer *buffer);

#define _cleanup_buffer_ _cleanup_(buffer_free)
