/* The error contract (docs/errors.md): a stable code, a sentence that tells the user what to do, context from
 * callers.
 *
 * A fallible function takes `struct error *err` last and returns bool or a pointer. On failure it has set
 * *err; on success it has not touched it. A caller that passes a failure on may put its own context before
 * the message. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

enum error_code {
    ERR_NONE = 0,
#define ERROR_CODE(symbol, name, http, permanent, meaning) ERR_##symbol,
#include "base/error_codes.def"
#undef ERROR_CODE
    ERR_COUNT
};

struct error {
    enum error_code code;
    char message[1000]; /* one sentence, UTF-8, no newline; cut when longer */
};

/* Sets code and message; returns false, so that `return error_set(...)` reads well. */
bool error_set(struct error *err, enum error_code code, const char *format, ...) printf_like(3, 4);
/* As error_set with strerror(errno_value) behind the message. ENOSPC becomes ERR_DISK_FULL whatever `code`
 * says. */
bool error_set_errno(struct error *err, enum error_code code, int errno_value, const char *format, ...)
    printf_like(4, 5);
/* Puts "context: " before the message; returns false. */
bool error_wrap(struct error *err, const char *format, ...) printf_like(2, 3);

/* "media.no_video"; "none" for ERR_NONE. Static. */
const char *error_name(enum error_code code);
/* The code of that name, ERR_INTERNAL for a name this build does not know. */
enum error_code error_from_name(const char *name);
/* What the API answers with. */
int error_http_status(enum error_code code);
/* True when trying again cannot help: the job dies at once instead of being retried. */
bool error_is_permanent(enum error_code code);
/* One sentence for the documentation. Static. */
const char *error_meaning(enum error_code code);
