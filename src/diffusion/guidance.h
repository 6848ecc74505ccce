/* Classifier-free guidance, and its form for networks that were distilled with it. */
#pragma once

#include <stddef.h>

/* negative + scale * (positive - negative), of one picture, to `out`, which may be either. With `rescale` above 0 its
 * deviation is drawn that far towards the positive's (Lin et al. 2023, section 3.4; diffusers, rescale_noise_cfg). */
void guidance_combine(const float *negative, const float *positive, float scale, float rescale, size_t count,
                      float *out);
/* timestep_cond: `width` values that tell an LCM network the scale (diffusers, get_guidance_scale_embedding). */
void guidance_embed(float scale, int width, float *out);
