/* The networks of a process that dubs: detector, face mesh, lips and enhancer, loaded and warmed once. */
#pragma once

#include "farm/job.h"
#include "model/model.h"

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

bool models_are_on_card(const struct models *models);
/* Those that every dub needs. Borrowed. */
struct detector *models_detector(struct models *models);
struct mesh *models_mesh(struct models *models);
/* The lips model of that name, and the enhancer: loaded at first use and kept. Borrowed. */
struct lips *models_lips(struct models *models, const char *name, struct error *err) must_check;
struct enhance *models_enhance(struct models *models, struct error *err) must_check;
