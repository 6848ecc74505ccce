#include "diffusion/lora_names.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

static const struct {
    const char *suffix;
    enum lora_part part;
} parts[] = {
    {".lora_down.weight", LORA_DOWN},
    {".lora_up.weight", LORA_UP},
    {".alpha", LORA_ALPHA},
    {".lora_A.weight", LORA_DOWN},
    {".lora_B.weight", LORA_UP},
    {".lora.down.weight", LORA_DOWN}, /* older diffusers */
    {".lora.up.weight", LORA_UP},
    {".lora_linear_layer.down.weight", LORA_DOWN},
    {".lora_linear_layer.up.weight", LORA_UP},
    {".down.weight", LORA_DOWN}, /* diffusers of 2023: its module's name is made below */
    {".up.weight", LORA_UP},
};

size_t lora_split_name(const char *name, enum lora_part *part) {
    size_t length = strlen(name);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        size_t suffix = strlen(parts[i].suffix);
        if (length > suffix && strcmp(name + length - suffix, parts[i].suffix) == 0) {
            *part = parts[i].part;
            return length - suffix;
        }
    }
    return 0;
}

const char *lora_other_kind(const char *name) {
    static const struct {
        const char *text, *kind;
    } others[] = {{".hada_", "LoHa"},
                  {".lokr_", "LoKr"},
                  {".lora_mid.", "LoCon of Tucker's kind"},
                  {".dora_scale", "DoRA"},
                  {".lora_magnitude_vector", "DoRA"},
                  {".diff", "whole differences"},
                  {".oft_", "OFT"},
                  {".lora_B.bias", "LoRA with biases"},
                  {".lora_up.bias", "LoRA with biases"}};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (strstr(name, others[i].text))
            return others[i].kind;
    return NULL;
}

/* --- the original UNet's names, of which SDXL's LoRAs are (diffusers, loaders/lora_conversion_utils.py) --- */

/* How the blocks of a UNet lie; found in its modules' names. */
struct unet_layout {
    int layers;             /* of a block */
    unsigned up_attentions; /* bits: blocks on the way up that have attention */
};

/* Reads "BLOCKS.b.KIND.i." at the head of a path: what follows, or NULL. */
static const char *after_block(const char *path, const char *blocks, const char *kind, int *block, int *layer) {
    _cleanup_free_ char *pattern = xasprintf("%s.%%2d.%s.%%2d.%%n", blocks, kind);
    int length = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    sscanf(path, pattern, block, layer, &length);
#pragma GCC diagnostic pop
    return length > 0 && *block >= 0 && *layer >= 0 ? path + length : NULL;
}

static const char *unet_path(const char *name) { return strncmp(name, "unet.", 5) == 0 ? name + 5 : NULL; }

static struct unet_layout find_layout(const struct lora_module *modules, size_t count) {
    struct unet_layout layout = {1, 0};
    for (size_t i = 0; i < count; i++) {
        const char *path = unet_path(modules[i].name);
        int block, layer;
        if (path && (after_block(path, "down_blocks", "resnets", &block, &layer) ||
                     after_block(path, "down_blocks", "attentions", &block, &layer)))
            layout.layers = MAX(layout.layers, layer + 1);
        else if (path && after_block(path, "up_blocks", "attentions", &block, &layer) && block < 32)
            layout.up_attentions |= 1U << block;
    }
    return layout;
}

static const char *const renamed[][2] = {
    {"time_embedding.linear_1", "time_embed.0"},
    {"time_embedding.linear_2", "time_embed.2"},
    {"add_embedding.linear_1", "label_emb.0.0"},
    {"add_embedding.linear_2", "label_emb.0.2"},
    {"conv_in", "input_blocks.0.0"},
    {"conv_out", "out.2"},
    {"conv1", "in_layers.2"}, /* of a resnet */
    {"conv2", "out_layers.3"},
    {"time_emb_proj", "emb_layers.1"},
    {"conv_shortcut", "skip_connection"},
};

static const char *rename_module(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(renamed); i++)
        if (strcmp(name, renamed[i][0]) == 0)
            return renamed[i][1];
    return name;
}

static char *original_middle(const char *path) {
    int layer, length = 0;
    if (strncmp(path, "mid_block.attentions.0.", 23) == 0)
        return xasprintf("middle_block.1.%s", path + 23);
    if (sscanf(path, "mid_block.resnets.%2d.%n", &layer, &length) == 1 && length > 0)
        return xasprintf("middle_block.%d.%s", 2 * layer, rename_module(path + length));
    return NULL;
}

/* A path below unet in the original's words; the caller frees it. NULL when that has no such module. */
static char *original_path(const char *path, const struct unet_layout *layout) {
    int block = 0, layer = 0, step = layout->layers + 1;
    const char *rest;
    if ((rest = after_block(path, "down_blocks", "resnets", &block, &layer)))
        return xasprintf("input_blocks.%d.0.%s", 1 + block * step + layer, rename_module(rest));
    if ((rest = after_block(path, "down_blocks", "attentions", &block, &layer)))
        return xasprintf("input_blocks.%d.1.%s", 1 + block * step + layer, rest);
    if (after_block(path, "down_blocks", "downsamplers", &block, &layer))
        return xasprintf("input_blocks.%d.0.op", (block + 1) * step);
    if ((rest = after_block(path, "up_blocks", "resnets", &block, &layer)))
        return xasprintf("output_blocks.%d.0.%s", block * step + layer, rename_module(rest));
    if ((rest = after_block(path, "up_blocks", "attentions", &block, &layer)))
        return xasprintf("output_blocks.%d.1.%s", block * step + layer, rest);
    if ((rest = after_block(path, "up_blocks", "upsamplers", &block, &layer)))
        return xasprintf("output_blocks.%d.%d.%s", block * step + layout->layers,
                         block < 32 && layout->up_attentions >> block & 1 ? 2 : 1, rest);
    char *middle = original_middle(path);
    return middle ? middle : strcmp(rename_module(path), path) ? xstrdup(rename_module(path)) : NULL;
}

/* --- kohya's names: dots become underscores --- */

static void add_kohya(json_t *names, const char *prefix, const char *path, size_t index) {
    _cleanup_free_ char *name = xasprintf("%s_%s", prefix, path);
    for (char *at = name; (at = strchr(at, '.'));)
        *at = '_';
    json_object_set_new(names, name, json_integer((json_int_t)index));
}

/* diffusers of 2023: "...attn1.processor.to_q_lora" for "...attn1.to_q", and to_out_lora for to_out.0. */
static void add_processor(json_t *names, const char *name, size_t index) {
    size_t length = strlen(name);
    if (length > 2 && strcmp(name + length - 2, ".0") == 0)
        length -= 2;
    const char *dot = memrchr(name, '.', length);
    if (!dot || strncmp(dot, ".to_", 4) != 0)
        return;
    int before = (int)(dot - name), last = (int)(name + length - dot - 1);
    _cleanup_free_ char *old = xasprintf("%.*s.processor.%.*s_lora", before, name, last, dot + 1);
    json_object_set_new(names, old, json_integer((json_int_t)index));
}

void lora_fill_names(const struct lora_module *modules, size_t count, json_t *names) {
    static const char *const folders[][2] = {
        {"unet.", "lora_unet"}, {"text_encoder.", "lora_te1"}, {"text_encoder_2.", "lora_te2"}};
    struct unet_layout layout = find_layout(modules, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = modules[i].name;
        json_object_set_new(names, name, json_integer((json_int_t)i));
        add_processor(names, name, i);
        for (size_t k = 0; k < ARRAY_LENGTH(folders); k++)
            if (strncmp(name, folders[k][0], strlen(folders[k][0])) == 0)
                add_kohya(names, folders[k][1], name + strlen(folders[k][0]), i);
        _cleanup_free_ char *original = unet_path(name) ? original_path(unet_path(name), &layout) : NULL;
        if (original)
            add_kohya(names, "lora_unet", original, i);
    }
}
