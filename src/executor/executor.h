/* executor: runs one job, whatever its kind. farm/kinds.def names the function of each kind.
 *
 * It promises: the runner of the job's kind is called, its steps and the time on the card are in the report, and a job
 * that fails leaves no result behind. */
#pragma once

#include "work/work.h"

/* Does the job of context->job.kind in this thread and those that its runner starts and joins. The caller frees the
 * result with work_result_free. `cancelled` when the flag was raised; else what the runner says, with context. */
bool executor_run_job(const struct job_context *context, struct work_result *result, struct error *err) must_check;
