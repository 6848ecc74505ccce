#include "diffusion/text.h"

#include "base/memory.h"

void conditioning_free(struct conditioning *conditioning) {
    free(conditioning->states);
    free(conditioning->pooled);
    *conditioning = (struct conditioning){0};
}

void text_condition_nothing(const struct text_encoder encoders[2], int chunks, struct conditioning *out) {
    int tokens = chunks * TOKENIZER_LENGTH;
    *out = (struct conditioning){tokens,
                                 xnew_array(float, (size_t)tokens *(size_t)(encoders[0].width + encoders[1].width)),
                                 xnew_array(float, (size_t)encoders[1].pooled_width)};
}

/* One encoder's share: of each token's row of `stride` values, those from `to` on. */
static void place_states(const struct text_encoder *encoder, const float *states, const float *weights, int stride,
                         float *to) {
    for (int token = 0; token < TOKENIZER_LENGTH; token++)
        for (int i = 0; i < encoder->width; i++)
            to[token * stride + i] = weights[token] * states[token * encoder->width + i];
}

static bool condition_chunk(const struct text_encoder encoders[2], const struct prompt *prompts[2], int chunk, int skip,
                            struct conditioning *out, struct error *err) {
    int stride = encoders[0].width + encoders[1].width, first = chunk * TOKENIZER_LENGTH;
    float *to = out->states + (size_t)first * (size_t)stride;
    for (int i = 0; i < 2; i++) {
        const struct text_encoder *encoder = &encoders[i];
        _cleanup_free_ float *states = xnew_array(float, (size_t)(TOKENIZER_LENGTH * encoder->width));
        _cleanup_free_ float *pooled = xnew_array(float, (size_t)encoder->pooled_width + 1);
        bool is_pooled = i == 1 && chunk == 0;
        if (!encoder->run(encoder->context, prompts[i]->ids + first, skip, states, is_pooled ? out->pooled : pooled,
                          err))
            return false;
        place_states(encoder, states, prompts[i]->weights + first, stride, to);
        to += encoder->width;
    }
    return true;
}

bool text_condition(const struct text_encoder encoders[2], const struct prompt *prompts[2], int skip,
                    struct conditioning *out, struct error *err) {
    _cleanup_conditioning_ struct conditioning made = {0};
    text_condition_nothing(encoders, prompts[0]->chunks, &made);
    for (int chunk = 0; chunk < prompts[0]->chunks; chunk++)
        if (!condition_chunk(encoders, prompts, chunk, skip, &made, err))
            return false;
    *out = made;
    made = (struct conditioning){0};
    return true;
}
