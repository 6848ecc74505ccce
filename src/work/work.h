/* work: what every kind of job needs, whatever its workload: its context, its steps and their times, the gate that lets
 * one job at a time compute (gate.h), and pipelines of threads that stop together (flow.h).
 *
 * A kind's runner is given a struct job_context and knows no Redis, so it can be run and tested alone. It promises: it
 * writes one artifact, under the key that it was given (a plan also stores each speech, once); its memory does not grow
 * with the length of what it works on; a raised cancel flag stops it within one frame or batch wherever it works on
 * pictures (a transfer, the decoding of a speech and the joining of segments end first); what it did is timed step by
 * step. */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "farm/farm.h"
#include "store/input.h"
#include "work/gate.h"
#include "work/steps.h"

/* The networks of one process, loaded and warmed once; each workload's room says what they are. */
struct models;

/* Written by the job's threads, read by the heartbeat's thread at any time. The three may be read a moment apart, and
 * no other memory goes with them: any memory order would do. */
struct progress {
    _Atomic int64_t frames, of; /* frames done, of how many; a join counts parts */
    _Atomic int step;           /* enum step */
};

struct job_context {
    const struct campaign *campaign;
    const struct plan *plan; /* NULL for the plan job */
    struct job_id job;
    struct store *store; /* may be used by any thread of the job */
    struct cache *cache;
    struct models *models;     /* may be NULL for jobs of the pool cpu */
    const char *scratch;       /* private directory; the job may leave files there, the caller removes it */
    const char *artifact;      /* key to write */
    const char *const *inputs; /* published artifacts it needs, see plan_inputs */
    size_t input_count;
    struct progress *progress;
    struct gate *gate;         /* held while the job computes; NULL: none */
    const atomic_bool *cancel; /* raised by another thread at any time */
    const struct log *log;
};

struct work_result {
    json_t *report; /* {"frames","bytes","sha256","steps_ms":{...},"gpu_ms","faceless":[[first,last],...],...}; owned */
    struct plan *plan; /* plan job only; owned */
};
void work_result_free(struct work_result *result);
#define _cleanup_work_result_ _cleanup_(work_result_free)

/* Does one job of a kind. `result` comes zeroed but for an empty report, and is the caller's to free whatever happens.
 * `cancelled` when the flag was raised. */
typedef bool job_runner(const struct job_context *context, struct step_times *times, struct work_result *result,
                        struct error *err);

/* Fetches a spec's URI into the cache, timed. The caller releases the entry. Errors of the store, with the URI. */
struct cache_entry *work_fetch(const struct job_context *context, struct step_times *times, const char *uri,
                               struct error *err) must_check;
/* Uploads the local file as the job's artifact, timed, and sets "bytes" and "sha256" in the report. io, errors of the
 * store. */
bool work_upload(const struct job_context *context, struct step_times *times, const char *path, json_t *report,
                 struct error *err) must_check;
/* A path in the scratch directory; caller frees. */
char *work_path(const struct job_context *context, const char *name);

/* Waits at the gate and enters it, if the context has one; `cancelled` when told to stop first. By the job's own
 * thread, which then leaves exactly once. */
bool work_enter(const struct job_context *context, struct step_times *times, struct error *err) must_check;
void work_leave(const struct job_context *context, struct step_times *times);
