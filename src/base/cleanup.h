/* Cleanup attributes: a local that owns something names its release where it is declared. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define must_check __attribute__((warn_unused_result))
#define printf_like(text, rest) __attribute__((format(printf, text, rest)))

/* Defines static inline `function##_cleanup` that calls `function(*pointer)` when the pointer is not NULL. */
#define DEFINE_CLEANUP(type, function)                                                                                 \
    static inline void function##_cleanup(type *pointer) {                                                             \
        if (*pointer)                                                                                                  \
            function(*pointer);                                                                                        \
    }

static inline void cleanup_free_pointer(void *pointer) { free(*(void **)pointer); }

static inline void cleanup_close_descriptor(int *descriptor) {
    if (*descriptor >= 0)
        close(*descriptor);
}

DEFINE_CLEANUP(FILE *, fclose)

#define _cleanup_free_ _cleanup_(cleanup_free_pointer)
#define _cleanup_close_ _cleanup_(cleanup_close_descriptor)
#define _cleanup_fclose_ _cleanup_(fclose_cleanup)

/* Hands ownership over: returns the pointer's value and leaves NULL behind. */
#define steal(pointer)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(pointer) stolen_ = (pointer);                                                                       \
        (pointer) = NULL;                                                                                              \
        stolen_;                                                                                                       \
    })

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
/* These evaluate their arguments more than once. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLAMP(x, low, high) MIN(MAX((x), (low)), (high))
