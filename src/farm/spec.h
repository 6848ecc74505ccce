/* Reads JSON that a user wrote, so that all problems are reported at once, each with its path. */
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
/* A member of `object`, whose path is `path`. A wrong type or a value out of range is a problem, and the result then
 * NULL or the fallback, as for a member that is missing; a missing `required` one is a problem too. Strings are
 * borrowed, counted in bytes, and have no control characters. */
const char *spec_string(struct spec *spec, const json_t *object, const char *key, const char *path, bool required,
                        size_t shortest, size_t longest);
/* A string that may be a model's name in the zoo. */
const char *spec_model_name(struct spec *spec, const json_t *object, const char *key, const char *path, bool required);
double spec_number(struct spec *spec, const json_t *object, const char *key, const char *path, double low, double high,
                   double fallback);
/* As spec_number, for whole numbers (18 and 18.0 are, 18.7 is none). */
int spec_integer(struct spec *spec, const json_t *object, const char *key, const char *path, int low, int high,
                 int fallback);
bool spec_bool(struct spec *spec, const json_t *object, const char *key, const char *path, bool fallback);
/* A member that must be s3://bucket/key or sha256:<64 hex digits>: a copy in *out, which stays as it is when there is a
 * problem. The caller frees it. */
void spec_uri(struct spec *spec, const json_t *object, const char *key, const char *path, char **out);
