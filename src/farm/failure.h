/* When a job that failed, lost its workers or runs too long is given up, by kind: "failure" of farm.json. */
#pragma once

#include "base/json.h"
#include "farm/job.h"

enum failure_limit {
    FAILURE_ERRORS,          /* errors that kill the job, of as many different workers */
    FAILURE_FIRST_RETRY,     /* ms before the first retry, doubled for each further one... */
    FAILURE_LONGEST_RETRY,   /* ... up to this */
    FAILURE_LONGEST_RUN,     /* ms that one attempt may take */
    FAILURE_CRASHED_WORKERS, /* how many different workers it may lose: this many kill it */
    FAILURE_CRASHES,         /* how many crashes kill it, also of one worker */
    FAILURE_REFUSALS,        /* as FAILURE_ERRORS, of errors that are a worker's fault */
    FAILURE_LIMIT_COUNT
};

struct failure_policies {
    int limits[KIND_COUNT][FAILURE_LIMIT_COUNT];
};

/* What farm/kinds.def says. */
extern const struct failure_policies failure_defaults;

/* Reads {"dub": {"errors", "first_retry_s", "longest_retry_s", "longest_run_s", "crashed_workers", "crashes",
 * "refusals"}, ...} into *out. What is missing, and everything when `failure` is NULL, is as in failure_defaults.
 * Problems are appended to the array as {"path","message"}; *out is of no use then. */
void failure_read(const json_t *failure, json_t *problems, struct failure_policies *out);
/* "errors 5, first_retry_s 2, ...". Caller frees. */
char *failure_describe(const struct failure_policies *policies, enum job_kind kind);
