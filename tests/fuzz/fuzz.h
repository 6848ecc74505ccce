/* What the fuzzers share. Each is one program: libFuzzer calls LLVMFuzzerTestOneInput with bytes of its own making, and
 * what the parser then accepts must hold what its header promises. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
int LLVMFuzzerInitialize(int *count, char ***arguments);

/* As assert, but in every build. */
#define ensure(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                              \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The bytes with a NUL behind them; caller frees. */
static inline char *fuzz_text(const uint8_t *bytes, size_t length) {
    char *text = xcalloc(length + 1, 1);
    if (length > 0)
        memcpy(text, bytes, length);
    return text;
}

/* NULL when the bytes are no JSON. */
static inline json_t *fuzz_json(const uint8_t *bytes, size_t length) {
    struct error err;
    return json_parse((const char *)bytes, length, &err);
}

/* Whether the text is UTF-8, by jansson's judgement, which shares no code with ours. */
static inline bool fuzz_is_utf8(const char *text) {
    _cleanup_json_ json_t *string = json_string(text);
    return string != NULL;
}

static inline bool fuzz_is_printable(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* A file of the process's own, the same one in every call, that holds the bytes now; for what reads paths. */
static inline const char *fuzz_file(const uint8_t *bytes, size_t length) {
    static char path[sizeof "/tmp/mela-fuzz.XXXXXX"];
    static FILE *file;
    if (!file) {
        memcpy(path, "/tmp/mela-fuzz.XXXXXX", sizeof path);
        int descriptor = mkstemp(path);
        ensure(descriptor >= 0);
        file = fdopen(descriptor, "wb");
        ensure(file);
        unlink(path);
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor); /* opened again, it is still there */
    }
    ensure(ftruncate(fileno(file), 0) == 0);
    for (size_t done = 0; done < length;) {
        ssize_t wrote = pwrite(fileno(file), bytes + done, length - done, (off_t)done);
        ensure(wrote > 0);
        done += (size_t)wrote;
    }
    return path;
}
