/* diffusion: what a latent diffusion model of SDXL's kind needs besides its networks, exactly as PyTorch's diffusers
 * computes it: prompts to tokens (tokenizer.h), noise (noise.h), schedulers (scheduler.h), guidance and the loop
 * (sample.h), weights from safetensors files (safetensors.h) and LoRAs merged into them (lora.h), float16 (half.h).
 *
 * It promises: the same seed gives the same noise, to the bit, on every machine and in PyTorch; a picture is the same
 * alone and in a batch; what is not understood of a model's or a LoRA's files is refused by name, never guessed;
 * hostile files and prompts cost bounded time and memory. The networks come in as functions (struct sample_networks),
 * so the room links no runtime. Nothing is locked: one thread at a time uses an object. */
#pragma once

#include "diffusion/guidance.h"
#include "diffusion/half.h"
#include "diffusion/lora.h"
#include "diffusion/noise.h"
#include "diffusion/prompt.h"
#include "diffusion/rgb.h"
#include "diffusion/safetensors.h"
#include "diffusion/sample.h"
#include "diffusion/scheduler.h"
#include "diffusion/text.h"
