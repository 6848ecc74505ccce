/* The error contract (docs/errors.md): a stable code, a sentence that says what the user can do, context from callers.
 *
 * A fallible function has `struct error *err` as its last parameter and returns bool or a pointer. It sets *err when it
 * fails, and only then: after a success *err is undefined, since a step that was tried in vain may have set it. A
 * caller may put its own context before the message (error_wrap). */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

enum error_code {
    ERR_NONE = 0,
#define ERROR_CODE(symbol, name, http, fault, meaning) ERR_##symbol,
#include "base/error_codes.def"
#undef ERROR_CODE
    ERR_COUNT
};

/* Whose fault an error is: the input's, the world's or this worker's. src/base/error_codes.def says what each means. */
enum fault { FAULT_INPUT, FAULT_WORLD, FAULT_WORKER, FAULT_COUNT };

struct error {
    enum error_code code;
    char message[1000]; /* one sentence, UTF-8, no newline; cut when longer */
};

/* Sets code and message, cut to its size. Always false, so that `return error_set(...)` fails the caller. The arguments
 * must not point into err->message; error_wrap is for that. */
bool error_set(struct error *err, enum error_code code, const char *format, ...) printf_like(3, 4);
/* As error_set, with strerror(errno_value) behind the message. ENOSPC and EDQUOT make it ERR_DISK_FULL whatever `code`
 * is. */
bool error_set_errno(struct error *err, enum error_code code, int errno_value, const char *format, ...)
    printf_like(4, 5);
/* Puts "context: " before the message and keeps the code. Always false. */
bool error_wrap(struct error *err, const char *format, ...) printf_like(2, 3);

/* The functions below answer for a code out of range as for ERR_INTERNAL. */

/* "media.no_video"; "none" for ERR_NONE. Static. */
const char *error_name(enum error_code code);
/* The code of that name; ERR_INTERNAL for one that this build does not know, such as a newer worker's. */
enum error_code error_from_name(const char *name);
/* The HTTP status that the API answers with. */
int error_http_status(enum error_code code);
/* Whose fault it is that a job ends in this error: FAULT_INPUT kills it at once, since trying again cannot help. */
enum fault error_fault(enum error_code code);
/* "input", "world", "worker". Static. */
const char *fault_name(enum fault fault);
/* What it means and what to do, as docs/errors.md has it. Static. */
const char *error_meaning(enum error_code code);
