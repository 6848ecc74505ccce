#include "dub/models.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "farm/graph.h"

enum { LIPS_MAX = 8, BATCH_CPU = 8, BATCH_CUDA = 128 };

struct models {
    struct zoo *zoo;
    struct device device;
    int batch;
    char *detector_name, *enhancer_name;
    struct detector *detector;
    struct mesh *mesh;
    struct enhance *enhance;
    struct lips *lips[LIPS_MAX];
    char *lips_names[LIPS_MAX];
    int lips_count;
};

/* Refuses what does not fit before anything is loaded: sums what the manifests say they need. */
static bool models_check_memory(const struct models *models, struct error *err) {
    const char *const needed[] = {models->detector_name, ZOO_MESH, CAMPAIGN_LIPS};
    int64_t need_mb = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(needed); i++) {
        const json_t *manifest = zoo_manifest(models->zoo, needed[i], err);
        if (!manifest)
            return false;
        need_mb += json_get_integer(manifest, "memory_mb", 0);
    }
    int64_t have_mb = models->device.kind == DEVICE_CPU ? process_memory_mb() : 0;
    if (have_mb > 0 && need_mb > have_mb)
        return error_set(err, ERR_MODEL_MEMORY, "the models need %lld MB, and %lld MB are free; use a larger machine",
                         (long long)need_mb, (long long)have_mb);
    return true;
}

static bool models_load_lipsync(struct models *models, struct error *err) {
    if (!models_check_memory(models, err))
        return false;
    models->detector = detector_open(models->zoo, models->detector_name, &models->device, err);
    if (!models->detector)
        return false;
    models->mesh = mesh_open(models->zoo, ZOO_MESH, &models->device, err);
    return models->mesh && models_lips(models, CAMPAIGN_LIPS, err);
}

struct models *models_load(const struct models_options *options, const enum pool *pools, size_t pool_count,
                           struct error *err) {
    _cleanup_models_ struct models *models = xnew(struct models);
    models->device = options->device;
    models->batch = options->batch ? options->batch : options->device.kind == DEVICE_CUDA ? BATCH_CUDA : BATCH_CPU;
    models->detector_name = xstrdup(options->detector ? options->detector : ZOO_DETECTOR);
    models->enhancer_name = xstrdup(options->enhancer ? options->enhancer : ZOO_ENHANCER);
    models->zoo = zoo_open(options->manifests, options->directory, err);
    if (!models->zoo)
        return NULL;
    zoo_set_cache(models->zoo, options->cache_directory);
    for (size_t i = 0; i < pool_count; i++)
        if (pools[i] == POOL_LIPSYNC && !models_load_lipsync(models, err))
            return NULL;
    return steal(models);
}

void models_free(struct models *models) {
    for (int i = 0; i < models->lips_count; i++) {
        lips_close(models->lips[i]);
        free(models->lips_names[i]);
    }
    detector_close_cleanup(&models->detector);
    mesh_close_cleanup(&models->mesh);
    enhance_close_cleanup(&models->enhance);
    zoo_close_cleanup(&models->zoo);
    free(models->detector_name);
    free(models->enhancer_name);
    free(models);
}

bool models_are_on_card(const struct models *models) { return models->device.kind == DEVICE_CUDA; }
struct detector *models_detector(struct models *models) { return models->detector; }
struct mesh *models_mesh(struct models *models) { return models->mesh; }

struct lips *models_lips(struct models *models, const char *name, struct error *err) {
    for (int i = 0; i < models->lips_count; i++)
        if (strcmp(models->lips_names[i], name) == 0)
            return models->lips[i];
    struct lips *lips = lips_open(models->zoo, name, &models->device, models->batch, err);
    if (!lips)
        return NULL;
    if (models->lips_count == LIPS_MAX) { /* the one that was loaded first is unloaded */
        lips_close(models->lips[0]);
        free(models->lips_names[0]);
        models->lips_count--;
        memmove(models->lips, models->lips + 1, sizeof models->lips - sizeof models->lips[0]);
        memmove(models->lips_names, models->lips_names + 1, sizeof models->lips_names - sizeof models->lips_names[0]);
    }
    models->lips[models->lips_count] = lips;
    models->lips_names[models->lips_count++] = xstrdup(name);
    return lips;
}

struct enhance *models_enhance(struct models *models, struct error *err) {
    if (!models->enhance)
        models->enhance = enhance_open(models->zoo, models->enhancer_name, &models->device, err);
    return models->enhance;
}

json_t *models_held(const struct models *models) {
    json_t *held = json_array();
    char affinity[AFFINITY_MAX + 1];
    for (int i = models->lips_count - 1; i >= 0; i--) {
        graph_lips_affinity(models->lips_names[i], affinity);
        if (affinity[0])
            json_array_append_new(held, json_string(affinity));
    }
    return held;
}
