#include "diffusion/sdxl.h"

#include <stdarg.h>

#include "base/memory.h"

enum { LEVELS = 3, LAYERS = 2, CROSS = 2048, TIME = 1280, POOLED = 2816, KERNEL = 9 };
static const int widths[LEVELS] = {320, 640, 1280}, depths[LEVELS] = {0, 2, 10}; /* of a level's transformers */

struct list {
    struct lora_module *modules; /* owned, and their names */
    size_t count;
};

static void list_add(struct list *list, int64_t rows, int64_t columns, const char *format, ...) printf_like(4, 5);
static void list_add(struct list *list, int64_t rows, int64_t columns, const char *format, ...) {
    char name[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    list->modules = xgrown(list->modules, list->count, sizeof *list->modules);
    list->modules[list->count++] = (struct lora_module){xstrdup(name), rows, columns, false};
}

/* ---- the UNet ---- */

static void add_resnet(struct list *list, const char *block, int index, int inputs, int outputs) {
    list_add(list, outputs, inputs * KERNEL, "unet.%s.resnets.%d.conv1", block, index);
    list_add(list, outputs, TIME, "unet.%s.resnets.%d.time_emb_proj", block, index);
    list_add(list, outputs, outputs * KERNEL, "unet.%s.resnets.%d.conv2", block, index);
    if (inputs != outputs)
        list_add(list, outputs, inputs, "unet.%s.resnets.%d.conv_shortcut", block, index);
}

static void add_attention(struct list *list, const char *block, int index, int width, int depth) {
    static const char *const own[] = {"attn1.to_q",     "attn1.to_k", "attn1.to_v",
                                      "attn1.to_out.0", "attn2.to_q", "attn2.to_out.0"};
    list_add(list, width, width, "unet.%s.attentions.%d.proj_in", block, index);
    list_add(list, width, width, "unet.%s.attentions.%d.proj_out", block, index);
    for (int i = 0; i < depth; i++) {
        char path[96];
        snprintf(path, sizeof path, "unet.%s.attentions.%d.transformer_blocks.%d", block, index, i);
        for (size_t k = 0; k < ARRAY_LENGTH(own); k++)
            list_add(list, width, width, "%s.%s", path, own[k]);
        list_add(list, width, CROSS, "%s.attn2.to_k", path);
        list_add(list, width, CROSS, "%s.attn2.to_v", path);
        list_add(list, 8 * width, width, "%s.ff.net.0.proj", path);
        list_add(list, width, 4 * width, "%s.ff.net.2", path);
    }
}

/* Notes in `skips` how wide what the way up takes is. */
static int add_down(struct list *list, int *skips) {
    int count = 0, width = widths[0];
    skips[count++] = width;
    for (int level = 0; level < LEVELS; level++) {
        char block[32];
        snprintf(block, sizeof block, "down_blocks.%d", level);
        for (int i = 0; i < LAYERS; i++) {
            add_resnet(list, block, i, width, widths[level]);
            width = skips[count++] = widths[level];
            if (depths[level])
                add_attention(list, block, i, width, depths[level]);
        }
        if (level + 1 < LEVELS) {
            list_add(list, width, width * KERNEL, "unet.%s.downsamplers.0.conv", block);
            skips[count++] = width;
        }
    }
    return count;
}

static void add_up(struct list *list, const int *skips, int count) {
    int width = widths[LEVELS - 1];
    for (int i = 0; i < LEVELS; i++) {
        int level = LEVELS - 1 - i;
        char block[32];
        snprintf(block, sizeof block, "up_blocks.%d", i);
        for (int k = 0; k <= LAYERS; k++) {
            add_resnet(list, block, k, width + skips[--count], widths[level]);
            width = widths[level];
            if (depths[level])
                add_attention(list, block, k, width, depths[level]);
        }
        if (level > 0)
            list_add(list, width, width * KERNEL, "unet.%s.upsamplers.0.conv", block);
    }
}

static void add_unet(struct list *list) {
    int first = widths[0], last = widths[LEVELS - 1], skips[LEVELS * (LAYERS + 1)];
    list_add(list, first, 4 * KERNEL, "unet.conv_in");
    list_add(list, 4, first * KERNEL, "unet.conv_out");
    list_add(list, TIME, first, "unet.time_embedding.linear_1");
    list_add(list, TIME, TIME, "unet.time_embedding.linear_2");
    list_add(list, TIME, POOLED, "unet.add_embedding.linear_1");
    list_add(list, TIME, TIME, "unet.add_embedding.linear_2");
    int count = add_down(list, skips);
    add_resnet(list, "mid_block", 0, last, last);
    add_attention(list, "mid_block", 0, last, depths[LEVELS - 1]);
    add_resnet(list, "mid_block", 1, last, last);
    add_up(list, skips, count);
}

/* ---- text encoders ---- */

static void add_encoder(struct list *list, const char *folder, int layers, int width) {
    static const char *const square[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    for (int i = 0; i < layers; i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(square); k++)
            list_add(list, width, width, "%s.text_model.encoder.layers.%d.self_attn.%s", folder, i, square[k]);
        list_add(list, 4 * width, width, "%s.text_model.encoder.layers.%d.mlp.fc1", folder, i);
        list_add(list, width, 4 * width, "%s.text_model.encoder.layers.%d.mlp.fc2", folder, i);
    }
}

struct lora_model *sdxl_modules(void) {
    struct list list = {0};
    add_encoder(&list, "text_encoder", 12, 768);
    add_encoder(&list, "text_encoder_2", 32, 1280);
    list_add(&list, 1280, 1280, "text_encoder_2.text_projection");
    add_unet(&list);
    struct lora_model *model = lora_model_new(list.modules, list.count);
    for (size_t i = 0; i < list.count; i++)
        free((char *)list.modules[i].name);
    free(list.modules);
    return model;
}
