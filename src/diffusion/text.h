/* What a prompt is to a UNet: the states of both text encoders side by side, and the second one's pooled vector. */
#pragma once

#include "diffusion/prompt.h"

/* A text encoder. `states`: [TOKENIZER_LENGTH][width] of the last hidden layer but 1 + `skip`, without the last norm;
 * `pooled`: [pooled_width], when that is not 0. */
struct text_encoder {
    bool (*run)(void *context, const int64_t *ids, int skip, float *states, float *pooled, struct error *err);
    void *context;
    int width, pooled_width;
};

struct conditioning {
    int tokens;    /* TOKENIZER_LENGTH a chunk */
    float *states; /* [tokens][width of the encoders together]; owned */
    float *pooled; /* of the first chunk; owned */
};
void conditioning_free(struct conditioning *conditioning);
#define _cleanup_conditioning_ _cleanup_(conditioning_free)

/* Runs the encoders on the chunks of a prompt as either one's tokenizer has it, and multiplies each token's states by
 * its weight; the mean is not restored (as stable-diffusion-webui's "No norm", since restoring it spoils SDXL). `skip`:
 * layers to leave out besides (clip_skip), for prompts; 0 for a negative. Both prompts have as many chunks. The caller
 * frees *out, after a success. What the encoders say. */
bool text_condition(const struct text_encoder encoders[2], const struct prompt *prompts[2], int skip,
                    struct conditioning *out, struct error *err) must_check;
/* Zeros, `chunks` long: what SDXL's base takes for a negative that was not given, which is not an empty one. */
void text_condition_nothing(const struct text_encoder encoders[2], int chunks, struct conditioning *out);
