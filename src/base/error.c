#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct error_kind {
    const char *name, *meaning;
    int http;
    enum fault fault;
} error_kinds[ERR_COUNT] = {
    [ERR_NONE] = {"none", "", 200, FAULT_WORLD},
#define ERROR_CODE(symbol, name, http, fault, meaning) [ERR_##symbol] = {name, meaning, http, FAULT_##fault},
#include "base/error_codes.def"
#undef ERROR_CODE
};

/* A code out of range comes from a struct error that nobody has set. It is a fault in mela, so it reads as internal
 * rather than as what lies behind the table. */
static const struct error_kind *error_kind(enum error_code code) {
    return &error_kinds[(unsigned)code < ERR_COUNT ? code : ERR_INTERNAL];
}

bool error_set(struct error *err, enum error_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    err->code = code;
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return false;
}

bool error_set_errno(struct error *err, enum error_code code, int errno_value, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    err->code = errno_value == ENOSPC || errno_value == EDQUOT ? ERR_DISK_FULL : code;
    int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof err->message)
        snprintf(err->message + length, sizeof err->message - (size_t)length, ": %s", strerror(errno_value));
    return false;
}

bool error_wrap(struct error *err, const char *format, ...) {
    char context[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof context)
        snprintf(context + length, sizeof context - (size_t)length, ": %s", err->message);
    memcpy(err->message, context, sizeof context);
    return false;
}

const char *error_name(enum error_code code) { return error_kind(code)->name; }

enum error_code error_from_name(const char *name) {
    for (int i = 0; i < ERR_COUNT; i++)
        if (strcmp(error_kinds[i].name, name) == 0)
            return (enum error_code)i;
    return ERR_INTERNAL;
}

int error_http_status(enum error_code code) { return error_kind(code)->http; }

enum fault error_fault(enum error_code code) { return error_kind(code)->fault; }

const char *fault_name(enum fault fault) {
    static const char *const names[FAULT_COUNT] = {"input", "world", "worker"};
    return names[fault];
}

const char *error_meaning(enum error_code code) { return error_kind(code)->meaning; }
