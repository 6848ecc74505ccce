#include "base/json.h"

#include "base/memory.h"

json_t *json_parse(const char *text, size_t length, struct error *err) {
    json_error_t where;
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (!value)
        error_set(err, ERR_JSON_INVALID, "not valid JSON at line %d, column %d: %s", where.line, where.column,
                  where.text);
    return value;
}

char *json_line(const json_t *value) {
    char *line = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    return line ? line : xstrdup("null");
}

const char *json_get_string(const json_t *object, const char *key, const char *fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t json_get_integer(const json_t *object, const char *key, int64_t fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

double json_get_number(const json_t *object, const char *key, double fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}
