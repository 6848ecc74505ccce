#include "work/work.h"

#include <string.h>

#include "base/memory.h"

void work_result_free(struct work_result *result) {
    json_decref(result->report);
    *result = (struct work_result){0};
}

const char *work_input(const struct job_context *context, const char *name, struct error *err) {
    for (size_t i = 0; i < context->input_count; i++)
        if (strcmp(context->inputs[i].name, name) == 0)
            return context->inputs[i].path;
    error_set(err, ERR_INTERNAL, "the job was given no \"%s\" to read", name);
    return NULL;
}

char *work_path(const struct job_context *context, const char *name) {
    return xasprintf("%s/%s", context->scratch, name);
}

bool work_enter(const struct job_context *context, struct step_times *times, struct error *err) {
    const struct gate *gate = context->gate;
    if (gate && !gate->enter(gate->context, context->cancel))
        return error_set(err, ERR_CANCELLED, "the job was told to stop");
    times->entered = step_start();
    return true;
}

void work_leave(const struct job_context *context, struct step_times *times) {
    times->behind_gate_ns += step_start() - times->entered;
    if (context->gate)
        context->gate->leave(context->gate->context);
}
