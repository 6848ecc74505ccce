/* A growing run of bytes, followed by a NUL that is not counted. {0} is an empty buffer. What is appended is copied,
 * and must not lie in the buffer itself, whose bytes may move. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buffer {
    char *data;      /* owned; NULL while nothing was appended or reserved */
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated */
};

/* Makes room for `more` bytes and the NUL behind those in use; whoever writes them there also raises `length`. */
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_append_text(struct buffer *buffer, const char *text);
/* In decimal; much cheaper than buffer_appendf, which formats twice. */
void buffer_append_integer(struct buffer *buffer, int64_t value);
void buffer_appendf(struct buffer *buffer, const char *format, ...) printf_like(2, 3);
/* Empty again; the bytes stay allocated for what comes next. */
void buffer_clear(struct buffer *buffer);
/* Releases the bytes; the buffer is empty and usable again. */
void buffer_free(struct buffer *buffer);
/* The bytes and their NUL, now the caller's to free; never NULL. The buffer is empty afterwards. */
char *buffer_steal(struct buffer *buffer);

#define _cleanup_buffer_ _cleanup_(buffer_free)
