#include "farm/spec.h"

#include <string.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/memory.h"

enum { PROBLEMS_MAX = 100 }; /* more help nobody, and a hostile spec must not cost memory */

void spec_problem(struct spec *spec, const char *path, const char *key, const char *message) {
    if (json_array_size(spec->problems) >= PROBLEMS_MAX)
        return;
    _cleanup_free_ char *where = xasprintf("%s%s%s", path, key ? "." : "", key ? key : "");
    json_array_append_new(spec->problems, json_pack("{s:s,s:s}", "path", where, "message", message));
}

void spec_unknown_members(struct spec *spec, const json_t *object, const char *path, const char *const *known) {
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            spec_problem(spec, path, key, "is not known; check the spelling");
    }
}

bool spec_ok(const json_t *problems, enum error_code code, const char *what, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    size_t i;
    json_t *problem;
    json_array_foreach (problems, i, problem)
        buffer_appendf(&text, "%s%s %s", i ? "; " : "", json_get_string(problem, "path", ""),
                       json_get_string(problem, "message", ""));
    return !text.data || error_set(err, code, "%s: %s", what, text.data);
}

static bool has_control_character(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

const char *spec_string(struct spec *spec, const json_t *object, const char *key, const char *path, bool required,
                        size_t shortest, size_t longest) {
    const json_t *value = json_object_get(object, key);
    if (!value) {
        if (required)
            spec_problem(spec, path, key, "is missing");
        return NULL;
    }
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    if (text && length >= shortest && length <= longest && !has_control_character(text) && strlen(text) == length)
        return text;
    _cleanup_free_ char *message =
        xasprintf("is not a text of %zu to %zu bytes without control characters", shortest, longest);
    spec_problem(spec, path, key, message);
    return NULL;
}

const char *spec_model_name(struct spec *spec, const json_t *object, const char *key, const char *path, bool required) {
    const char *name = spec_string(spec, object, key, path, required, 1, 64);
    if (name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(name)) {
        spec_problem(spec, path, key, "is not a model's name (lower-case letters, digits, '-', '_', '.')");
        return NULL;
    }
    return name;
}

double spec_number(struct spec *spec, const json_t *object, const char *key, const char *path, double low, double high,
                   double fallback) {
    const json_t *value = json_object_get(object, key);
    if (!value)
        return fallback;
    double number = json_number_value(value);
    if (json_is_number(value) && number >= low && number <= high)
        return number;
    _cleanup_free_ char *message = xasprintf("is not a number from %g to %g", low, high);
    spec_problem(spec, path, key, message);
    return fallback;
}

int spec_integer(struct spec *spec, const json_t *object, const char *key, const char *path, int low, int high,
                 int fallback) {
    const json_t *value = json_object_get(object, key);
    double number = json_number_value(value);
    if (!value)
        return fallback;
    if (json_is_number(value) && number >= low && number <= high && number == (int)number)
        return (int)number;
    _cleanup_free_ char *message = xasprintf("is not a whole number from %d to %d", low, high);
    spec_problem(spec, path, key, message);
    return fallback;
}

bool spec_bool(struct spec *spec, const json_t *object, const char *key, const char *path, bool fallback) {
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value))
        spec_problem(spec, path, key, "is not true or false");
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* True when a slash-separated key has an empty, "." or ".." part or a control character. */
static bool spec_path_escapes(const char *key) {
    if (has_control_character(key))
        return true;
    for (const char *part = key;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
            return true;
        part += length;
        if (*part == '\0')
            return false;
    }
}

void spec_uri(struct spec *spec, const json_t *object, const char *key, const char *path, char **out) {
    const char *uri = spec_string(spec, object, key, path, true, 1, 2048);
    if (!uri)
        return;
    bool s3 = strncmp(uri, "s3://", 5) == 0, uploaded = strncmp(uri, "sha256:", 7) == 0;
    const char *slash = s3 ? strchr(uri + 5, '/') : NULL;
    if (!s3 && !uploaded)
        spec_problem(spec, path, key, "is not s3://bucket/key or sha256:<64 hex digits of an uploaded file>");
    else if (uploaded && !is_sha256_hex(uri + 7))
        spec_problem(spec, path, key, "needs 64 lower-case hex digits behind sha256:");
    else if (s3 && (!slash || slash == uri + 5 || slash[1] == '\0'))
        spec_problem(spec, path, key, "needs a bucket and a key: s3://bucket/key");
    else if (s3 && spec_path_escapes(slash + 1))
        spec_problem(spec, path, key, "has an empty, '.' or '..' part or a control character in its key");
    else
        *out = xstrdup(uri);
}
