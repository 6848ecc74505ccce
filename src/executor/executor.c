#include "executor/executor.h"

#include "dub/dub.h"
#include "picture/picture_jobs.h"

#define KIND(id, name, workload, pool, per_language, numbered, alone, files, runner, ...) [KIND_##id] = {files, runner},
static const struct {
    job_files_function *files;
    job_runner *run;
} functions[KIND_COUNT] = {
#include "farm/kinds.def"
};
#undef KIND

bool executor_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                        const char *stamp, struct job_files *out, struct error *err) {
    return functions[job->kind].files(campaign, plan, job, stamp, out, err);
}

/* Milliseconds that the job had the card: all the time behind the gate, since no other job of the process computes
 * then. Jobs of the pool cpu run no network. */
static int64_t card_ms(const struct job_context *context, const struct step_times *times) {
    bool on_card =
        job_kind_pool(context->job.kind) != POOL_CPU && context->models && models_are_on_card(context->models);
    return on_card ? (times->behind_gate_ns + 500000) / 1000000 : 0;
}

bool executor_run_job(const struct job_context *context, struct work_result *result, struct error *err) {
    struct step_times times = {0};
    *result = (struct work_result){.report = json_object()};
    if (!functions[context->job.kind].run(context, &times, result, err)) {
        work_result_free(result);
        return false;
    }
    json_object_set_new(result->report, "steps_ms", step_times_to_json(&times));
    json_object_set_new(result->report, "gpu_ms", json_integer(card_ms(context, &times)));
    return true;
}
