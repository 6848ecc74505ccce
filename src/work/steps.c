#include "work/steps.h"

#include <string.h>

#include "base/base.h"

static const char *const step_names[] = {"fetch",   "decode", "detect", "landmark", "mel",    "lips",
                                         "enhance", "blend",  "text",   "denoise",  "encode", "upload"};
_Static_assert(ARRAY_LENGTH(step_names) == STEP_COUNT, "one a step");

const char *step_name(enum step step) { return step_names[step]; }

enum step step_parse(const char *name) {
    for (int i = 0; i < STEP_COUNT; i++)
        if (strcmp(step_names[i], name) == 0)
            return (enum step)i;
    return STEP_FETCH;
}

json_t *step_times_to_json(const struct step_times *times) {
    json_t *json = json_object();
    for (int i = 0; i < STEP_COUNT; i++)
        if (times->ns[i] > 0)
            json_object_set_new(json, step_names[i], json_integer((times->ns[i] + 500000) / 1000000));
    return json;
}
