/* executor: runs one job, whatever its kind. farm/kinds.def names the functions of each kind. fence.h is what the
 * process gives up before.
 *
 * It promises: the functions of the job's kind are called, its steps and the time on the card are in the report, and a
 * job that fails leaves no result behind. */
#pragma once

#include "work/files.h"
#include "work/work.h"

/* What the job reads and writes, as its kind's function says (work/files.h). */
bool executor_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                        const char *stamp, struct job_files *out, struct error *err) must_check;

/* Does the job of context->job.kind in this thread and those that its runner starts and joins. The caller frees the
 * result with work_result_free. `cancelled` when the flag was raised; else what the runner says, with context. */
bool executor_run_job(const struct job_context *context, struct work_result *result, struct error *err) must_check;
