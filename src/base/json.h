/* Small helpers over jansson: typed reads with defaults, cleanup, parsing with our errors. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"

DEFINE_CLEANUP(json_t *, json_decref)
#define _cleanup_json_ _cleanup_(json_decref_cleanup)

/* Parses `length` bytes; duplicate keys are refused. New reference, or NULL with json.invalid. */
json_t *json_parse(const char *text, size_t length, struct error *err) must_check;
/* One line, keys in the order of their insertion; "null" for what cannot be written. Caller frees. */
char *json_line(const json_t *value);
/* A member of an object; the fallback when it is missing or of another type, or `object` is none. Strings are borrowed.
 */
const char *json_get_string(const json_t *object, const char *key, const char *fallback);
int64_t json_get_integer(const json_t *object, const char *key, int64_t fallback);
double json_get_number(const json_t *object, const char *key, double fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);
