/* Adding image models and LoRAs to the zoo. A failure leaves nothing behind. */
#pragma once

#include "model/zoo.h"

/* Copies what an image model needs out of a folder in the layout of diffusers' ONNX exports, and the VAE's encoder
 * where there is one; loads each network as a painter does, on the CPU, one after the other. The manifest's "contract"
 * says what was found: {"parts": [{"part", "type", "bytes", "modules": that a LoRA can change, "shared": that it
 * cannot, since two share a weight}...], "tokenizers": [{"tokenizer", "tokens"}...], "scheduler", "memory_mb": {"cpu",
 * "cuda"}}. One error has all problems of the folder, one those of its networks. What painter_open says; model.invalid
 * for the name too. */
bool picture_add_model(struct zoo *zoo, const char *folder, const char *name, struct error *err) must_check;
/* Copies a LoRA, which must fit SDXL, or an image model of the zoo. Its manifest's "contract": {"modules": of SDXL that
 * it changes, or null, "models": [{"model", "matched", "unmatched": how many of its tensors}...] of the zoo that it
 * fits}. What lora_open says of SDXL; model.invalid for the name. */
bool picture_add_lora(struct zoo *zoo, const char *path, const char *name, struct error *err) must_check;
