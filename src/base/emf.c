#include "base/emf.h"

#include <string.h>

bool emf_check_namespace(const char *name, struct error *err) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/#:";
    size_t length = strlen(name);
    return (length > 0 && length <= 255 && name[0] != ':' && strspn(name, allowed) == length) ||
           error_set(err, ERR_CONFIG_INVALID,
                     "emf is \"%.50s\"; CloudWatch takes a namespace of 1 to 255 letters, digits and .-_/#:", name);
}

json_t *emf_record(const char *name_space, int64_t time_ms) {
    return json_pack("{s:{s:I, s:[{s:s, s:[[]], s:[]}]}}", "_aws", "Timestamp", (json_int_t)time_ms,
                     "CloudWatchMetrics", "Namespace", name_space, "Dimensions", "Metrics");
}

static json_t *emf_directive(json_t *record, const char *member) {
    json_t *all = json_object_get(json_object_get(record, "_aws"), "CloudWatchMetrics");
    return json_object_get(json_array_get(all, 0), member);
}

void emf_add_dimension(json_t *record, const char *name, const char *value) {
    json_array_append_new(json_array_get(emf_directive(record, "Dimensions"), 0), json_string(name));
    json_object_set_new(record, name, json_string(value));
}

void emf_add_metric(json_t *record, const char *name, const char *unit, json_t *value) {
    json_array_append_new(emf_directive(record, "Metrics"), json_pack("{s:s, s:s}", "Name", name, "Unit", unit));
    json_object_set_new(record, name, value);
}
