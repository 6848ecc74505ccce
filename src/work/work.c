#include "work/work.h"

#include "base/digest.h"
#include "base/memory.h"

void work_result_free(struct work_result *result) {
    json_decref(result->report);
    if (result->plan)
        plan_free(result->plan);
    *result = (struct work_result){0};
}

struct cache_entry *work_fetch(const struct job_context *context, struct step_times *times, const char *uri,
                               struct error *err) {
    int64_t started = step_start();
    struct cache_entry *entry = input_fetch(context->cache, context->store, uri, err);
    step_stop(times, STEP_FETCH, started);
    return entry;
}

bool work_upload(const struct job_context *context, struct step_times *times, const char *path, json_t *report,
                 struct error *err) {
    int64_t started = step_start(), bytes;
    atomic_store(&context->progress->step, STEP_UPLOAD);
    char sha256[SHA256_HEX + 1];
    if (!sha256_file(path, sha256, &bytes, err) || !store_put_file(context->store, context->artifact, path, 0, err))
        return false;
    step_stop(times, STEP_UPLOAD, started);
    json_object_set_new(report, "bytes", json_integer(bytes));
    json_object_set_new(report, "sha256", json_string(sha256));
    return true;
}

char *work_path(const struct job_context *context, const char *name) {
    return xasprintf("%s/%s", context->scratch, name);
}

bool work_enter(const struct job_context *context, struct step_times *times, struct error *err) {
    if (context->gate && !gate_enter(context->gate, context->cancel))
        return error_set(err, ERR_CANCELLED, "the job was told to stop");
    times->entered = step_start();
    return true;
}

void work_leave(const struct job_context *context, struct step_times *times) {
    times->behind_gate_ns += step_start() - times->entered;
    if (context->gate)
        gate_leave(context->gate);
}
