/* Reading user-written JSON so that every problem is reported at once, each with its path. */
#pragma once

#include <stddef.h>

#include "base/json.h"

struct spec {
    json_t *problems; /* array of {"path","message"}; borrowed */
};

/* Adds {"path": path.key, "message": ...}; `key` NULL: the path itself. */
void spec_problem(struct spec *spec, const char *path, const char *key, const char *message);
/* Reports every member of the object that is not in the NULL-terminated list. A NULL object has none. */
void spec_unknown_members(struct spec *spec, const json_t *object, const char *path, const char *const *known);
/* False with `code` and all problems in one sentence, "<what>: $.a is missing; $.b ...", if there are any. */
bool spec_ok(const json_t *problems, enum error_code code, const char *what, struct error *err) must_check;
/* Member readers report a wrong type or range and then answer NULL or the fallback. Strings are borrowed;
 * they are counted in bytes and may hold no control characters. A `required` member that is missing is a
 * problem. */
const char *spec_string(struct spec *spec, const json_t *object, const char *key, const char *path, bool required,
                        size_t shortest, size_t longest);
double spec_number(struct spec *spec, const json_t *object, const char *key, const char *path, double low, double high,
                   double fallback);
bool spec_bool(struct spec *spec, const json_t *object, const char *key, const char *path, bool fallback);
/* True when a slash-separated key has an empty, "." or ".." part or a control character. */
bool spec_path_escapes(const char *key);
