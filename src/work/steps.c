#include "work/steps.h"

#include "base/base.h"

static const char *const step_names[] = {"fetch", "decode",  "detect", "landmark", "mel",
                                         "lips",  "enhance", "blend",  "encode",   "upload"};
_Static_assert(ARRAY_LENGTH(step_names) == STEP_COUNT, "one a step");

const char *step_name(enum step step) { return step_names[step]; }

json_t *step_times_to_json(const struct step_times *times) {
    json_t *json = json_object();
    for (int i = 0; i < STEP_COUNT; i++)
        if (times->ns[i] > 0)
            json_object_set_new(json, step_names[i], json_integer((times->ns[i] + 500000) / 1000000));
    return json;
}
