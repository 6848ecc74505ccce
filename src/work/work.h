/* work: what every kind of job works with, whatever its workload: its context, its steps and their times, its place in
 * line for the card (gate.h), and pipelines of threads that stop together (flow.h).
 *
 * A kind's runner is given a struct job_context and knows no Redis, so it can be run and tested alone. It promises: it
 * writes one artifact, under the key that it was given, and nothing else; its memory does not grow with the length of
 * what it works on; a raised cancel flag stops it within one batch; what it did is timed step by step. */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "farm/farm.h"
#include "store/input.h"
#include "work/gate.h"
#include "work/steps.h"

/* The networks of one process, loaded and warmed once; each workload's room says what they are. */
struct models;

/* Written by the job's threads, read by the heartbeat's thread at any time: a glance, not a record, so nothing is
 * ordered by these stores. */
struct progress {
    _Atomic int64_t frames, of;
    _Atomic int step;
};

struct job_context {
    const struct campaign *campaign;
    const struct plan *plan; /* NULL for the plan job */
    struct job_id job;
    struct store *store;
    struct cache *cache;
    struct models *models;     /* NULL for jobs of the pool cpu */
    const char *scratch;       /* private directory; the job may leave files there, the caller removes it */
    const char *artifact;      /* key to write */
    const char *const *inputs; /* published artifacts it needs, see plan_inputs */
    size_t input_count;
    struct progress *progress;
    struct gate *gate; /* held while networks run; NULL: none */
    const atomic_bool *cancel;
    const struct log *log;
};

struct work_result {
    json_t *report; /* {"frames","bytes","sha256","steps_ms":{...},"gpu_ms","faceless":[[first,last],...],...}; owned */
    struct plan *plan; /* plan job only; owned */
};
void work_result_free(struct work_result *result);
#define _cleanup_work_result_ _cleanup_(work_result_free)

/* Does one job of a kind; `result` is zeroed but for an empty report. `cancelled` when the flag was raised. */
typedef bool job_runner(const struct job_context *context, struct step_times *times, struct work_result *result,
                        struct error *err);

/* Fetches a spec's URI into the cache, timed. The caller releases the entry. */
struct cache_entry *work_fetch(const struct job_context *context, struct step_times *times, const char *uri,
                               struct error *err) must_check;
/* Uploads the local file as the job's artifact, timed, and notes bytes and sha256 in the report. */
bool work_upload(const struct job_context *context, struct step_times *times, const char *path, json_t *report,
                 struct error *err) must_check;
/* A path in the scratch directory; caller frees. */
char *work_path(const struct job_context *context, const char *name);

/* Waits for the process's turn to compute; `cancelled` when told to stop first. */
bool work_enter(const struct job_context *context, struct step_times *times, struct error *err) must_check;
void work_leave(const struct job_context *context, struct step_times *times);
