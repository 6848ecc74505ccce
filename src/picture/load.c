/* Loading the networks of a painter, with LoRAs merged into their weights. */
#include <string.h>

#include "base/memory.h"
#include "picture/painter.h"

void loaded_release(struct loaded *loaded) {
    if (--loaded->references > 0)
        return;
    if (loaded->session)
        session_close(loaded->session);
    free(loaded);
}

static bool is_changed(const struct lora_use *uses, size_t count, size_t module) {
    for (size_t i = 0; i < count; i++)
        if (uses[i].weight != 0 && lora_touches(uses[i].lora, module))
            return true;
    return false;
}

bool painter_part_is_changed(const struct painter *painter, enum picture_part part, const struct lora_use *uses,
                             size_t count) {
    const struct image_model *model = painter->model;
    for (size_t i = 0; part != PICTURE_DECODER && i < modules_count(model->parts[part]); i++)
        if (is_changed(uses, count, model->first[part] + i))
            return true;
    return false;
}

/* Weights with LoRAs merged; what they hold is owned. */
struct merged {
    struct session_weight *weights;
    size_t count;
};

static void merged_clear(struct merged *merged) {
    for (size_t i = 0; i < merged->count; i++)
        free(merged->weights[i].data);
    free(merged->weights);
}

/* The file's own weight, changed where it was read. A model's weights are gigabytes: that they do not fit is an error
 * that is told, not the end. */
static bool merge_weight(const struct image_model *model, enum picture_part part, size_t index,
                         const struct lora_use *uses, size_t count, struct merged *merged, struct error *err) {
    const struct module *module = modules_get(model->parts[part], index);
    struct session_weight *weight = &merged->weights[merged->count];
    void *data = malloc(module_bytes(module));
    if (!data)
        return error_set(err, ERR_MODEL_MEMORY, "there is no memory for %s with LoRAs", module->name);
    *weight = module->weight;
    weight->data = data;
    merged->count++;
    return modules_read(model->parts[part], index, data, err) &&
           lora_merge(uses, count, model->loras, model->first[part] + index, weight->type == TENSOR_FLOAT16, data, data,
                      err);
}

static struct session *open_merged(const struct image_model *model, enum picture_part part, const struct lora_use *uses,
                                   size_t count, const struct device *device, struct error *err) {
    _cleanup_free_ char *path = image_model_file(model, part);
    _cleanup_(merged_clear) struct merged merged = {0};
    size_t modules = modules_count(model->parts[part]);
    merged.weights = xnew_array(struct session_weight, modules);
    for (size_t i = 0; i < modules; i++)
        if (is_changed(uses, count, model->first[part] + i) && !merge_weight(model, part, i, uses, count, &merged, err))
            return NULL;
    return session_open_with(path, device, merged.weights, merged.count, err);
}

static struct loaded *load_part(const struct painter *painter, enum picture_part part, const struct lora_use *uses,
                                size_t count, const struct device *device, const char *cache_directory,
                                struct error *err) {
    _cleanup_(loaded_release_cleanup) struct loaded *loaded = xnew(struct loaded);
    _cleanup_free_ char *path = image_model_file(painter->model, part);
    loaded->references = 1;
    loaded->merged = painter_part_is_changed(painter, part, uses, count);
    loaded->memory_mb = image_model_memory(painter->model, part, device);
    loaded->session = loaded->merged ? open_merged(painter->model, part, uses, count, device, err)
                                     : session_open(path, device, cache_directory, err);
    return loaded->session ? steal(loaded) : NULL;
}

bool painter_load(struct painter *painter, const struct lora_use *uses, size_t count, const struct device *device,
                  const char *cache_directory, struct error *err) {
    picture_networks_free_cleanup(&painter->networks); /* of an attempt before */
    painter->networks = picture_networks_new();
    for (enum picture_part part = 0; part < PICTURE_PARTS; part++) {
        if (!painter->parts[part])
            painter->parts[part] = load_part(painter, part, uses, count, device, cache_directory, err);
        if (!painter->parts[part] ||
            !picture_networks_bind(painter->networks, painter->model->folder, part, painter->parts[part]->session, err))
            return false;
    }
    return true;
}
