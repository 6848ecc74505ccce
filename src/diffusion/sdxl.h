/* The structure of SDXL's base model, for telling whose a LoRA is where no such model is at hand. */
#pragma once

#include "diffusion/lora.h"

/* All that a LoRA may change: the linear layers and convolutions of both text encoders and the UNet, as diffusers' and
 * transformers' configurations say (stabilityai/stable-diffusion-xl-base-1.0: unet, text_encoder, text_encoder_2). The
 * caller frees it with lora_model_free. */
struct lora_model *sdxl_modules(void);
