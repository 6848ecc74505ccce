/* work: what every kind of job needs, whatever its workload: what it reads and writes (files.h), its context, its steps
 * and their times, the gate that lets one job at a time compute (gate.h), and pipelines of threads that stop together
 * (flow.h).
 *
 * A kind is two functions. One says which files a job needs and which it makes; the other, its runner, turns the former
 * into the latter, and knows neither Redis nor the store, so it can be run and tested alone. A runner promises: it
 * writes the targets that were named, in its scratch folder, and nothing elsewhere; its memory does not grow with the
 * length of what it works on; a raised cancel flag stops it within one packet, frame or batch, also while it opens a
 * film, looks for a frame or joins segments; what it did is timed step by step. */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "farm/farm.h"
#include "work/files.h"
#include "work/gate.h"
#include "work/steps.h"

/* The networks of one process, loaded and warmed once; each workload's room says what they are. */
struct models;
struct painters;

/* Written by the job's threads, read by the heartbeat's thread at any time. The three may be read a moment apart, and
 * no other memory goes with them: any memory order would do. */
struct progress {
    _Atomic int64_t frames, of; /* frames done, of how many; a join counts parts */
    _Atomic int step;           /* enum step */
};

/* A source of the job that was fetched. */
struct job_file {
    const char *name, *path;
};

struct job_context {
    const struct campaign *campaign;
    const struct plan *plan; /* NULL for the plan job */
    struct job_id job;
    struct models *models;     /* of dubs; may be NULL for jobs of the pool cpu */
    struct painters *painters; /* of pictures; NULL where no image job is done */
    const struct job_file *inputs;
    size_t input_count;
    const char *scratch; /* private directory, for the targets; the job may leave more there, the caller removes it */
    struct progress *progress;
    const struct gate *gate;   /* held while the job computes; NULL: none */
    const atomic_bool *cancel; /* raised by another thread at any time */
    const struct log *log;
};

struct work_result {
    json_t *report; /* {"frames","steps_ms":{...},"gpu_ms","faceless":[[first,last],...],...}; owned */
};
void work_result_free(struct work_result *result);
#define _cleanup_work_result_ _cleanup_(work_result_free)

/* Does one job of a kind. `result` comes zeroed but for an empty report, and is the caller's to free whatever happens.
 * `cancelled` when the flag was raised. */
typedef bool job_runner(const struct job_context *context, struct step_times *times, struct work_result *result,
                        struct error *err);

/* The local file that was fetched for the source of this name; borrowed of the context. internal when there is none. */
const char *work_input(const struct job_context *context, const char *name, struct error *err) must_check;
/* A path in the scratch directory; caller frees. */
char *work_path(const struct job_context *context, const char *name);

/* Waits at the gate and enters it, if the context has one; `cancelled` when told to stop first. By the job's own
 * thread, which then leaves exactly once. */
bool work_enter(const struct job_context *context, struct step_times *times, struct error *err) must_check;
void work_leave(const struct job_context *context, struct step_times *times);
