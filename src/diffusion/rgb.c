#include "diffusion/rgb.h"

#include <math.h>

/* What is no number becomes 0. */
static uint8_t to_byte(float value) { return (uint8_t)rintf(fminf(fmaxf(value * 0.5F + 0.5F, 0), 1) * 255); }

bool rgb_from_planes(const float *planes, int width, int height, uint8_t *rgb, struct error *err) {
    size_t size = (size_t)width * (size_t)height;
    for (size_t i = 0; i < size; i++)
        for (size_t c = 0; c < 3; c++) {
            if (!isfinite(planes[c * size + i]))
                return error_set(err, ERR_PICTURE_NOT_FINITE,
                                 "the decoder gave a value that is no number at %zu, %zu: use one in float32",
                                 i % (size_t)width, i / (size_t)width);
            rgb[3 * i + c] = to_byte(planes[c * size + i]);
        }
    return true;
}

void rgb_from_latents(const float *latents, int width, int height, uint8_t *rgb) {
    static const float map[4][3] = {{0.3651F, 0.4232F, 0.4341F},
                                    {-0.2533F, -0.0042F, 0.1068F},
                                    {0.1076F, 0.1111F, -0.0362F},
                                    {-0.3165F, -0.2492F, -0.2188F}};
    static const float bias[3] = {0.1084F, -0.0175F, -0.0011F};
    size_t size = (size_t)width * (size_t)height;
    for (size_t i = 0; i < size; i++)
        for (int c = 0; c < 3; c++) {
            float value = bias[c];
            for (size_t k = 0; k < 4; k++)
                value += map[k][c] * latents[k * size + i];
            rgb[3 * i + (size_t)c] = to_byte(value);
        }
}
