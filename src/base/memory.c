#include "base/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static void *or_abort(void *pointer) {
    if (!pointer) {
        fputs("mela: out of memory\n", stderr);
        abort();
    }
    return pointer;
}

void *xcalloc(size_t count, size_t size) { return or_abort(calloc(count ? count : 1, size ? size : 1)); }

void *xreallocarray(void *pointer, size_t count, size_t size) {
    return or_abort(reallocarray(pointer, count ? count : 1, size ? size : 1));
}

void *xgrown(void *list, size_t count, size_t size) {
    bool full = (count & (count - 1)) == 0; /* 0, and every power of two */
    return full ? xreallocarray(list, MAX(2 * count, 1), size) : list;
}

char *xstrdup(const char *text) { return text ? or_abort(strdup(text)) : NULL; }

char *xstrndup(const char *text, size_t length) { return or_abort(strndup(text, length)); }

char *xasprintf(const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return or_abort(text);
}
