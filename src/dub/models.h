/* The networks of a process that dubs: detector, face mesh, lips and enhancer, loaded and warmed once.
 *
 * Nothing here is locked. They are loaded before any job runs; after that only the job behind the gate (work/gate.h)
 * may get or run one, and what it got is its own until it leaves the gate: the next job may unload it. */
#pragma once

#include "farm/job.h"
#include "model/model.h"

struct models;

struct models_options {
    const char *manifests, *directory; /* the zoo */
    struct device device;
    int batch;                   /* frames of one run of the generator; 0: 128 on CUDA, 8 on the CPU */
    const char *cache_directory; /* optimised graphs */
    const char *detector;        /* names in the zoo; NULL: its defaults */
    const char *enhancer;
};

/* Opens the zoo and loads what the `pool_count` pools need: for lipsync the detector, the mesh and the default lips
 * network. model.memory, before anything is loaded, when their manifests ask for more than the machine has free; io,
 * json.invalid, model.not_found, model.hash_mismatch, model.invalid, model.device, model.run. The caller frees. */
struct models *models_load(const struct models_options *options, const enum pool *pools, size_t pool_count,
                           struct error *err) must_check;
void models_free(struct models *models);
DEFINE_CLEANUP(struct models *, models_free)
#define _cleanup_models_ _cleanup_(models_free_cleanup)

/* Whether they run on CUDA; may be asked at any time. */
bool models_are_on_card(const struct models *models);
/* Those that every track job needs; NULL unless lipsync was asked for. Borrowed. */
struct detector *models_detector(struct models *models);
struct mesh *models_mesh(struct models *models);
/* The lips network of that name, and the enhancer: loaded at first use and kept. Of lips networks eight are kept: one
 * more unloads the one that was loaded first. Borrowed. Errors as models_load, but model.memory. */
struct lips *models_lips(struct models *models, const char *name, struct error *err) must_check;
struct enhance *models_enhance(struct models *models, struct error *err) must_check;
/* Affinities of the lips networks that are loaded (graph_lips_affinity), newest first, without that of the usual one.
 * New reference. */
json_t *models_held(const struct models *models);
