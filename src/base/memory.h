/* Allocation that cannot fail: out of memory ends the process with a message, so no caller checks. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/* Zeroed memory for `count` items of `size` bytes, never NULL; caller frees. A product that overflows counts as out of
 * memory. */
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Grows or shrinks; the old pointer is invalid. New bytes are not zeroed. */
void *xreallocarray(void *pointer, size_t count, size_t size) __attribute__((returns_nonnull));
/* Makes room for one more item behind `count`; the room doubles, so that a long list costs no more than its length. A
 * list is NULL while it is empty, and grows in no other way. */
void *xgrown(void *list, size_t count, size_t size) __attribute__((returns_nonnull));
/* Copies a string; NULL stays NULL. Caller frees. */
char *xstrdup(const char *text);
/* Copies at most `length` bytes of a string. Caller frees. */
char *xstrndup(const char *text, size_t length) __attribute__((returns_nonnull));
/* printf into a new string; caller frees. */
char *xasprintf(const char *format, ...) printf_like(1, 2) __attribute__((returns_nonnull));

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))
#define xnew_array(type, count) ((type *)xcalloc((count), sizeof(type)))
