/* LoRA: small matrices that change a model's weights, W + weight * scale * B A, from the files people share.
 *
 * A file names a module in one of three ways: kohya's with the original model's block names
 * ("lora_unet_input_blocks_4_1_
 * ..."), kohya's with diffusers' ("lora_unet_down_blocks_1_attentions_0_..."), and PEFT's, diffusers' own
 * ("unet.down_blocks.1.attentions.0..."). What is not a plain LoRA (LoHa, LoKr, DoRA, Tucker's, whole differences) is
 * refused by name. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"

/* A weight of the model that a LoRA may change, as the model has it. */
struct lora_module {
    const char *name;      /* folder and path: "unet.down_blocks.1...to_q", "text_encoder_2.text_model.encoder..." */
    int64_t rows, columns; /* outputs; inputs, of a convolution times its kernel */
    bool transposed;       /* lies as [columns][rows], as ONNX's MatMul has it; else [rows][columns] */
};

/* The modules of one model, and all names that files have for them. */
struct lora_model;
/* Copies the modules. The caller frees it with lora_model_free, after all LoRAs that were opened for it. */
struct lora_model *lora_model_new(const struct lora_module *modules, size_t count);
void lora_model_free(struct lora_model *model);
DEFINE_CLEANUP(struct lora_model *, lora_model_free)
#define _cleanup_lora_model_ _cleanup_(lora_model_free_cleanup)

struct lora;
/* Reads the names and shapes, not yet the values. lora.unsupported names what is not a plain LoRA, or which model it
 * was made for; lora.no_match when no tensor belongs to a module; weights.invalid; io. The caller closes it. */
struct lora *lora_open(const char *path, const struct lora_model *model, struct error *err) must_check;
void lora_close(struct lora *lora);
DEFINE_CLEANUP(struct lora *, lora_close)
#define _cleanup_lora_ _cleanup_(lora_close_cleanup)

/* How many modules it changes. */
size_t lora_matched(const struct lora *lora);
/* The names of tensors that belong to no module of the model; borrowed. */
const json_t *lora_unmatched(const struct lora *lora);
/* Whether it changes the module of this index. */
bool lora_touches(const struct lora *lora, size_t module);

/* Reads all values that it has for modules; weights.invalid when one is not finite; io. */
bool lora_check_values(const struct lora *lora, struct error *err) must_check;

/* A LoRA and what the user weighs it. */
struct lora_use {
    const struct lora *lora;
    float weight;
};

/* Writes the module's weight with all LoRAs merged to `out`, which may be `base`; both are as the model has them,
 * float16 with `half`, else float32. Computed in float32 and rounded once; alike, to the bit, however the file names
 * the module and the weight lies; a weight of 0 changes nothing. weights.invalid when values are not finite; io. */
bool lora_merge(const struct lora_use *uses, size_t count, const struct lora_model *model, size_t module, bool half,
                const void *base, void *out, struct error *err) must_check;
