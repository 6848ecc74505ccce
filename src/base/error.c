#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name, *meaning;
    int http;
    bool permanent;
} table[ERR_COUNT] = {
    [ERR_NONE] = {"none", "", 200, false},
#define ERROR_CODE(symbol, name, http, permanent, meaning) [ERR_##symbol] = {name, meaning, http, permanent},
#include "base/error_codes.def"
#undef ERROR_CODE
};

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

const char *error_name(enum error_code code) {
    return (unsigned)code < ERR_COUNT ? table[code].name : table[ERR_INTERNAL].name;
}

enum error_code error_from_name(const char *name) {
    for (int i = 0; i < ERR_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return (enum error_code)i;
    return ERR_INTERNAL;
}

int error_http_status(enum error_code code) { return table[code].http; }

bool error_is_permanent(enum error_code code) { return table[code].permanent; }

const char *error_meaning(enum error_code code) { return table[code].meaning; }
