/* stage: the work of each kind of job, from inputs in the store to one artifact in the store.
 *
 * A stage is given a context and knows no Redis: it can be run and tested alone. It promises: it writes one
 * artifact, under the key it was given, and nothing else; memory does not grow with length; a raised cancel
 * flag stops it within one batch; what it did is timed step by step. */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "farm/farm.h"
#include "media/media.h"
#include "model/model.h"
#include "stage/gate.h"
#include "store/input.h"

/* The networks of one worker process, loaded and warmed once. */
struct models;
struct models_options {
    const char *manifests, *directory; /* the zoo */
    struct device device;
    int batch;                   /* frames a generator run; 0: 128 on CUDA, 8 on CPU */
    const char *cache_directory; /* optimised graphs */
    const char *detector;        /* names in the zoo; NULL: its defaults */
    const char *enhancer;
};
/* Loads what `pools` need (detector, mesh; lips models on first use of their name beyond the default),
 * summing their memory first: model.memory. */
struct models *models_load(const struct models_options *options, const enum pool *pools, size_t pool_count,
                           struct error *err) must_check;
void models_free(struct models *models);
DEFINE_CLEANUP(struct models *, models_free)
#define _cleanup_models_ _cleanup_(models_free_cleanup)

/* The lips model of that name: loaded at first use and kept. Borrowed. */
struct lips *models_lips(struct models *models, const char *name, struct error *err) must_check;

/* Steps of a job, in the words of the design. */
enum step {
    STEP_FETCH,
    STEP_DECODE,
    STEP_DETECT,
    STEP_LANDMARK,
    STEP_MEL,
    STEP_LIPS,
    STEP_ENHANCE,
    STEP_BLEND,
    STEP_ENCODE,
    STEP_UPLOAD,
    STEP_COUNT
};
const char *step_name(enum step step);

/* Written by the stage, read by the worker's heartbeat at any time. */
struct progress {
    _Atomic int64_t frames, of;
    _Atomic int step;
};

struct stage_context {
    const struct campaign *campaign;
    const struct plan *plan; /* NULL for the plan job */
    struct job_id job;
    struct store *store;
    struct cache *cache;
    struct models *models;     /* NULL for cpu jobs */
    const char *scratch;       /* private directory; the stage may leave files, the caller removes it */
    const char *artifact;      /* key to write */
    const char *const *inputs; /* published artifacts it needs: dub: its track; join: its dubs in output order */
    size_t input_count;
    struct progress *progress;
    struct gate *gate; /* held while networks run; NULL: none */
    const atomic_bool *cancel;
    const struct log *log;
};

struct stage_result {
    json_t *report; /* {"frames","bytes","sha256","steps_ms":{...},"gpu_ms","faceless":[[first,last],...],...}; owned */
    struct plan *plan; /* plan job only; owned */
};
void stage_result_free(struct stage_result *result);
#define _cleanup_stage_result_ _cleanup_(stage_result_free)

/* Does the job of context->job.kind. `cancelled` when the flag was raised. */
bool stage_run(const struct stage_context *context, struct stage_result *result, struct error *err) must_check;
