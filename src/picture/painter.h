/* What a painter is made of. Private to this room. */
#pragma once

#include "picture/image_model.h"
#include "picture/picture.h"

/* A network that painters of one model may share. */
struct loaded {
    int references;
    struct session *session;
    bool merged; /* with LoRAs: not for others */
    int64_t memory_mb;
};
void loaded_release(struct loaded *loaded);
DEFINE_CLEANUP(struct loaded *, loaded_release)

struct painter {
    struct image_model *model;           /* a reference */
    struct loaded *parts[PICTURE_PARTS]; /* references */
    struct picture_networks *networks;
    json_t *origin;
    int64_t memory_mb; /* of the device, for choosing tiles; 0: unknown */
};

/* A painter without networks. Keeps a reference to the model, and takes `origin` over. */
struct painter *painter_new(struct image_model *model, json_t *origin);
/* Whether any of these LoRAs changes the part. */
bool painter_part_is_changed(const struct painter *painter, enum picture_part part, const struct lora_use *uses,
                             size_t count);
/* Loads the parts that it has not, with the LoRAs merged into their own weights, and binds them all. As painter_open;
 * weights.invalid when a merge is not finite; model.memory. What was loaded so far stays the painter's. */
bool painter_load(struct painter *painter, const struct lora_use *uses, size_t count, const struct device *device,
                  const char *cache_directory, struct error *err) must_check;
