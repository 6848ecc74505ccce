#include "picture/painters.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/zoo.h"
#include "picture/painter.h"

/* A painter that is kept. All owned. */
struct set {
    char *key;
    json_t *wanted; /* {"model", "loras": [{"name", "weight"}]} */
    struct painter *painter;
};

struct painters {
    struct zoo *zoo;
    struct device device;
    char *cache_directory, *enhancer_name;
    struct enhance *enhancer; /* NULL: nobody asked for it yet */
    int64_t memory_mb;        /* of sets; 0: no limit is known */
    struct set *sets;         /* newest first */
    size_t count;
};

/* What is kept leaves a quarter of the memory to what is computed. */
static int64_t memory_to_keep(const struct painters_options *options) {
    return options->memory_mb ? options->memory_mb
                              : device_memory_mb(&options->device) / 4 * 3 / MAX(options->sharers, 1);
}

struct painters *painters_open(const struct painters_options *options, struct error *err) {
    _cleanup_painters_ struct painters *painters = xnew(struct painters);
    painters->device = options->device;
    painters->memory_mb = memory_to_keep(options);
    painters->cache_directory = xstrdup(options->cache_directory);
    painters->enhancer_name = xstrdup(options->enhancer ? options->enhancer : ZOO_ENHANCER);
    painters->zoo = zoo_open(options->manifests, options->directory, err);
    return painters->zoo ? steal(painters) : NULL;
}

/* ---- sets ---- */

static void set_clear(struct set *set) {
    painter_close(set->painter);
    json_decref(set->wanted);
    free(set->key);
}

/* Takes a set out of the list. */
static struct set set_take(struct painters *painters, size_t index) {
    struct set set = painters->sets[index];
    painters->count--;
    memmove(painters->sets + index, painters->sets + index + 1, (painters->count - index) * sizeof set);
    return set;
}

static void set_drop(struct painters *painters, size_t index) {
    struct set set = set_take(painters, index);
    set_clear(&set);
}

static struct painter *set_put_first(struct painters *painters, struct set set) {
    painters->sets = xreallocarray(painters->sets, painters->count + 1, sizeof set);
    memmove(painters->sets + 1, painters->sets, painters->count * sizeof set);
    painters->sets[0] = set;
    painters->count++;
    return set.painter;
}

void painters_close(struct painters *painters) {
    while (painters->count > 0)
        set_drop(painters, painters->count - 1);
    free(painters->sets);
    free(painters->cache_directory);
    free(painters->enhancer_name);
    enhance_close_cleanup(&painters->enhancer);
    zoo_close_cleanup(&painters->zoo);
    free(painters);
}

bool painters_are_on_card(const struct painters *painters) { return painters->device.kind == DEVICE_CUDA; }

struct enhance *painters_enhancer(struct painters *painters, struct error *err) {
    if (!painters->enhancer)
        painters->enhancer = enhance_open(painters->zoo, painters->enhancer_name, &painters->device, err);
    return painters->enhancer;
}

json_t *painters_held(const struct painters *painters) {
    json_t *keys = json_array();
    for (size_t i = 0; i < painters->count; i++)
        json_array_append_new(keys, json_string(painters->sets[i].key));
    return keys;
}

/* ---- memory ---- */

static bool has_part(const struct painter *painter, const struct loaded *part) {
    for (int i = 0; i < PICTURE_PARTS; i++)
        if (painter->parts[i] == part)
            return true;
    return false;
}

/* MB of the networks that the sets have, and the painter that is being made; what is shared counts once. */
static int64_t memory_used(const struct painters *painters, const struct painter *made) {
    int64_t used = 0;
    for (int part = 0; part < PICTURE_PARTS; part++)
        used += made->parts[part] ? made->parts[part]->memory_mb : 0;
    for (size_t i = 0; i < painters->count; i++)
        for (int part = 0; part < PICTURE_PARTS; part++) {
            const struct loaded *loaded = painters->sets[i].painter->parts[part];
            bool counted = has_part(made, loaded);
            for (size_t before = 0; before < i; before++)
                counted |= has_part(painters->sets[before].painter, loaded);
            used += counted ? 0 : loaded->memory_mb;
        }
    return used;
}

/* MB of the parts of a painter: of those that it lacks, or of all. */
static int64_t memory_needed(const struct painters *painters, const struct painter *painter, bool all) {
    int64_t need = 0;
    for (enum picture_part part = 0; part < PICTURE_PARTS; part++)
        if (all || !painter->parts[part])
            need += image_model_memory(painter->model, part, &painters->device);
    return need;
}

/* Closes what was not used for longest until there is room for what the painter lacks. */
static bool make_room(struct painters *painters, const struct painter *painter, struct error *err) {
    int64_t whole = memory_needed(painters, painter, true), need = memory_needed(painters, painter, false);
    if (painters->memory_mb == 0)
        return true;
    if (whole > painters->memory_mb)
        return error_set(err, ERR_MODEL_MEMORY, "it needs %lld MB, and %lld MB may be used", (long long)whole,
                         (long long)painters->memory_mb);
    while (painters->count > 0 && memory_used(painters, painter) + need > painters->memory_mb)
        set_drop(painters, painters->count - 1);
    return true;
}

/* ---- making one ---- */

/* The LoRAs of a set, opened for its model. */
struct lora_set {
    struct lora_use *uses;
    size_t count;
};

static void lora_set_close(struct lora_set *set) {
    for (size_t i = 0; i < set->count; i++)
        lora_close((struct lora *)set->uses[i].lora);
    free(set->uses);
}

static bool check_role(const struct painters *painters, const char *name, const char *role, struct error *err) {
    const json_t *manifest = zoo_manifest(painters->zoo, name, err);
    const char *found = json_get_string(manifest, "role", "");
    return manifest && (strcmp(found, role) == 0 ||
                        error_set(err, ERR_MODEL_INVALID, "%s is a model for %s, not for %s", name, found, role));
}

/* Path and sha256 of a LoRA: of the zoo, or as it was fetched. */
static char *lora_find(const struct painters *painters, const struct painter_lora *lora, char sha256[SHA256_HEX + 1],
                       struct error *err) {
    if (lora->path)
        return sha256_file(lora->path, sha256, NULL, err) ? xstrdup(lora->path) : NULL;
    if (!check_role(painters, lora->name, "lora", err))
        return NULL;
    const json_t *manifest = zoo_manifest(painters->zoo, lora->name, err);
    snprintf(sha256, SHA256_HEX + 1, "%s", json_get_string(manifest, "sha256", ""));
    return zoo_file(painters->zoo, lora->name, err);
}

/* The shortest decimal number that is this float again: 0.7 for what is not quite 0.7. */
static double tidy(float weight) {
    double value = (double)weight;
    for (int digits = 1; digits <= 9; digits++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", digits, (double)weight);
        value = strtod(text, NULL);
        if ((float)value == weight)
            break;
    }
    return value;
}

/* Appends the LoRA to the set, and what it is to `origins`. */
static bool lora_add(const struct painters *painters, const struct image_model *model, const struct painter_lora *lora,
                     struct lora_set *set, json_t *origins, struct error *err) {
    char sha256[SHA256_HEX + 1];
    if (!isfinite(lora->weight))
        return error_set(err, ERR_PICTURE_INVALID, "the weight of LoRA %s is no number", lora->name);
    _cleanup_free_ char *path = lora_find(painters, lora, sha256, err);
    struct lora *opened = path ? lora_open(path, model->loras, err) : NULL;
    if (!opened)
        return error_wrap(err, "LoRA %s", lora->name);
    set->uses[set->count++] = (struct lora_use){opened, lora->weight};
    json_array_append_new(origins, json_pack("{s:s,s:s,s:f,s:I,s:I}", "name", lora->name, "sha256", sha256, "weight",
                                             tidy(lora->weight), "matched", (json_int_t)lora_matched(opened),
                                             "unmatched", (json_int_t)json_array_size(lora_unmatched(opened))));
    return true;
}

static const struct painter *find_of_model(const struct painters *painters, const char *name) {
    for (size_t i = 0; i < painters->count; i++)
        if (strcmp(json_get_string(painters->sets[i].wanted, "model", ""), name) == 0)
            return painters->sets[i].painter;
    return NULL;
}

static struct image_model *model_get(const struct painters *painters, const char *name, struct error *err) {
    const struct painter *other = find_of_model(painters, name);
    if (other)
        return image_model_keep(other->model);
    _cleanup_free_ char *folder =
        check_role(painters, name, "image", err) ? zoo_folder(painters->zoo, name, err) : NULL;
    return folder ? image_model_open(folder, err) : NULL;
}

/* Takes from other sets of the model what these LoRAs do not change. */
static void share_parts(const struct painters *painters, struct painter *painter, const struct lora_set *loras) {
    for (size_t i = 0; i < painters->count; i++)
        for (enum picture_part part = 0; part < PICTURE_PARTS; part++) {
            const struct painter *other = painters->sets[i].painter;
            struct loaded *loaded = other->model == painter->model ? other->parts[part] : NULL;
            if (painter->parts[part] || !loaded || loaded->merged ||
                painter_part_is_changed(painter, part, loras->uses, loras->count))
                continue;
            loaded->references++;
            painter->parts[part] = loaded;
        }
}

/* When an allocation fails though the sum allowed it, once more with nothing else kept. */
static bool load_painter(struct painters *painters, struct painter *painter, const struct lora_set *loras,
                         struct error *err) {
    const char *cache = painters->cache_directory;
    if (painter_load(painter, loras->uses, loras->count, &painters->device, cache, err))
        return true;
    if (err->code != ERR_MODEL_MEMORY || painters->count == 0)
        return false;
    while (painters->count > 0)
        set_drop(painters, painters->count - 1);
    return painter_load(painter, loras->uses, loras->count, &painters->device, cache, err);
}

static struct painter *painter_make(struct painters *painters, const char *name, const struct painter_lora *loras,
                                    size_t count, struct error *err) {
    _cleanup_image_model_ struct image_model *model = model_get(painters, name, err);
    _cleanup_(lora_set_close) struct lora_set set = {xnew_array(struct lora_use, count + 1), 0};
    _cleanup_json_ json_t *origins = json_array();
    for (size_t i = 0; model && i < count; i++)
        if (!lora_add(painters, model, &loras[i], &set, origins, err))
            return NULL;
    if (!model)
        return NULL;
    const json_t *manifest = zoo_manifest(painters->zoo, name, err);
    _cleanup_painter_ struct painter *painter = painter_new(
        model, json_pack("{s:{s:s,s:s},s:O,s:s,s:s}", "model", "name", name, "sha256",
                         json_get_string(manifest, "sha256", ""), "loras", origins, "vocabulary", model->vocabulary,
                         "device", painters->device.kind == DEVICE_CPU ? "cpu" : "cuda"));
    painter->memory_mb = painters->memory_mb;
    share_parts(painters, painter, &set);
    int64_t whole = memory_needed(painters, painter, true);
    if (make_room(painters, painter, err) && load_painter(painters, painter, &set, err))
        return steal(painter);
    if (err->code == ERR_MODEL_MEMORY)
        error_wrap(err, "%s with %zu LoRAs, of %lld MB", name, count, (long long)whole);
    return NULL;
}

static json_t *describe_set(const char *model, const struct painter_lora *loras, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s,s:f}", "name", loras[i].name, "weight", (double)loras[i].weight));
    return json_pack("{s:s,s:o}", "model", model, "loras", list);
}

struct painter *painters_get(struct painters *painters, const char *key, const char *model,
                             const struct painter_lora *loras, size_t count, struct error *err) {
    _cleanup_json_ json_t *wanted = describe_set(model, loras, count);
    for (size_t i = 0; i < painters->count; i++) {
        if (strcmp(painters->sets[i].key, key) != 0)
            continue;
        if (json_equal(painters->sets[i].wanted, wanted))
            return set_put_first(painters, set_take(painters, i));
        set_drop(painters, i);
        break;
    }
    struct painter *painter = painter_make(painters, model, loras, count, err);
    if (!painter)
        return NULL;
    return set_put_first(painters, (struct set){xstrdup(key), steal(wanted), painter});
}
