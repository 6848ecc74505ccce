/* The graph of a campaign's jobs, whatever its workload: where it begins, and what each job that ends brings into
 * being. It follows from the campaign, and of dubs from the plan (plan.h). */
#pragma once

#include "farm/job.h"
#include "farm/plan.h"

/* Whether jobs of the kind work by the campaign's plan. */
bool graph_needs_plan(enum job_kind kind);
/* The jobs with which a campaign begins: of dubs the plan job; of images a job for each handful of pictures, and the
 * sheet, which waits for them. New array in *jobs, freed by the caller with free(). */
size_t graph_first(const struct campaign *campaign, struct job_spec **jobs);
/* The affinity of jobs that need this lips network; "" for the usual one, which every worker has. */
void graph_lips_affinity(const char *lips, char out[AFFINITY_MAX + 1]);
/* The jobs that a finished job brings into being (plan_children); none of images. `plan` may be NULL there. New array
 * in *jobs, freed by the caller with free(). */
size_t graph_children(const struct campaign *campaign, const struct plan *plan, const struct job_id *done,
                      struct job_spec **jobs);
