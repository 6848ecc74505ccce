#include "executor/executor.h"

#include "dub/dub.h"

#define KIND(id, name, pool, per_language, numbered, runner, ...) [KIND_##id] = runner,
static job_runner *const runners[KIND_COUNT] = {
#include "farm/kinds.def"
};
#undef KIND

/* Milliseconds that the job had the card: all the time behind the gate, since no other job of the process computes
 * then. Jobs of the pool cpu run no network. */
static int64_t card_ms(const struct job_context *context, const struct step_times *times) {
    bool on_card =
        context->models && models_are_on_card(context->models) && job_kind_pool(context->job.kind) != POOL_CPU;
    return on_card ? (times->behind_gate_ns + 500000) / 1000000 : 0;
}

bool executor_run_job(const struct job_context *context, struct work_result *result, struct error *err) {
    struct step_times times = {0};
    *result = (struct work_result){.report = json_object()};
    if (!runners[context->job.kind](context, &times, result, err)) {
        work_result_free(result);
        return false;
    }
    json_object_set_new(result->report, "steps_ms", step_times_to_json(&times));
    json_object_set_new(result->report, "gpu_ms", json_integer(card_ms(context, &times)));
    return true;
}
