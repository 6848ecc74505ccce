#include "stage/stage.h"

#include "stage/steps.h"
#include "stage/work.h"

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

void stage_result_free(struct stage_result *result) {
    json_decref(result->report);
    if (result->plan)
        plan_free(result->plan);
    *result = (struct stage_result){0};
}

/* The card is this job's while it is behind the gate: no other job of the process computes then. Jobs of the pool cpu
 * run no network. */
static int64_t card_ms(const struct stage_context *context, const struct step_times *times) {
    bool on_card =
        context->models && models_are_on_card(context->models) && job_kind_pool(context->job.kind) != POOL_CPU;
    return on_card ? (times->behind_gate_ns + 500000) / 1000000 : 0;
}

bool stage_run(const struct stage_context *context, struct stage_result *result, struct error *err) {
    static bool (*const stages[])(const struct stage_context *, struct step_times *, struct stage_result *,
                                  struct error *) = {stage_plan, stage_track, stage_dub, stage_join};
    struct step_times times = {0};
    *result = (struct stage_result){.report = json_object()};
    if (!stages[context->job.kind](context, &times, result, err)) {
        stage_result_free(result);
        return false;
    }
    json_object_set_new(result->report, "steps_ms", step_times_to_json(&times));
    json_object_set_new(result->report, "gpu_ms", json_integer(card_ms(context, &times)));
    return true;
}
