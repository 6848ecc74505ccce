/* From what networks give to pixels of 8 bits: rows from the top, red, green and blue side by side. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* A decoder's picture, [3][height][width] of -1 to 1, as diffusers makes pixels of it: halves go to the even one.
 * picture.not_finite when a value is no number: never is such a picture shown as black. */
bool rgb_from_planes(const float *planes, int width, int height, uint8_t *rgb, struct error *err) must_check;
/* A rough picture of latents [4][height][width], one pixel a latent, without a decoder: for watching. The map is
 * ComfyUI's for SDXL (latent_formats.py). */
void rgb_from_latents(const float *latents, int width, int height, uint8_t *rgb);
