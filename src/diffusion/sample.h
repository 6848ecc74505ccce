/* The loop: from a seed, through a scheduler and a network, to latents and pixels.
 *
 * Picture k of a batch has the seed `seed + k` and draws all its noise from its own generator: first its latents, then
 * what a step takes. So it is the same alone, and in any batch. */
#pragma once

#include <stdatomic.h>

#include "diffusion/scheduler.h"
#include "diffusion/text.h"

enum { LATENT_CHANNELS = 4, LATENT_PIXELS = 8 }; /* of latents; pixels to one, each way */
enum { SIZE_IDS = 6 };
enum { PICTURE_LEAST = 64, PICTURE_MOST = 4096, PICTURE_COUNT = 16 };

/* What a picture is said to be cut from: the six numbers that SDXL's UNet takes besides, in its order. */
struct size_ids {
    float original_height, original_width, crop_top, crop_left, target_height, target_width;
};

/* One call of the UNet; a row is a picture under one conditioning. */
struct unet_input {
    int rows, height, width; /* of latents */
    const float *latents;    /* [rows][LATENT_CHANNELS][height][width] */
    float time;
    int tokens;
    const float *states;   /* [rows][tokens][states_width] */
    const float *pooled;   /* [rows][pooled_width] */
    const float *size_ids; /* [rows][6] */
    const float *guidance; /* [rows][guidance_width]; NULL when that is 0 */
};

/* The networks, as functions; both get `context`. What they fail with ends the loop. */
struct sample_networks {
    /* Writes as many values as `latents` has. */
    bool (*unet)(void *context, const struct unet_input *input, float *output, struct error *err);
    /* Writes [3][8 * height][8 * width], of -1 to 1. */
    bool (*decode)(void *context, const float *latents, int height, int width, float *planes, struct error *err);
    void *context;
    int states_width, pooled_width;
    int guidance_width;                                  /* of timestep_cond; 0: the UNet has none */
    float scaling;                                       /* the decoder's scaling_factor: 0.13025 */
    float mean[LATENT_CHANNELS], scale[LATENT_CHANNELS]; /* its latents_mean and latents_std; else 0 and 1 */
};

struct sample_request {
    const struct scheduler_config *scheduler;
    int steps, width, height, count;
    uint32_t seed;           /* of the first picture */
    float guidance, rescale; /* guidance of at most 1: the negative is not used; rescale 0 to 1 */
    const struct conditioning *positive, *negative; /* of as many tokens */
    const struct size_ids *size, *negative_size;    /* NULL: the picture's own size, not cut; as the positive */
    const atomic_bool *cancel;                      /* looked at before each step; NULL: never */
    void (*progress)(void *context, int done, int steps, const float *latents); /* after each step; NULL: none */
    void *context;                                                              /* of progress */
};

/* How many values the latents of one picture are. */
size_t sample_latent_count(const struct sample_request *request);
/* Writes [count][LATENT_CHANNELS][height / 8][width / 8]. picture.invalid names what is out of range;
 * picture.not_finite the step; cancelled. */
bool sample_latents(const struct sample_request *request, const struct sample_networks *networks, float *latents,
                    struct error *err) must_check;
/* The pixels of one picture's latents, [height][width][3]. A side of more than `tile` pixels is decoded in tiles of
 * that side, a multiple of 8 and at least TILE_LEAST, which overlap by a quarter and are faded into each other: what
 * the decoder needs is then bounded. 0: as a whole. picture.not_finite; picture.invalid for another tile. */
enum { TILE_LEAST = 128 };
bool sample_decode(const struct sample_networks *networks, const float *latents, int width, int height, int tile,
                   uint8_t *rgb, struct error *err) must_check;
