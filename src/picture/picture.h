/* picture: pictures from words, with one image model.
 *
 * A painter is a model that is loaded: tokenizers, text encoders, UNet, decoder and its scheduler's configuration, from
 * a folder in the layout of diffusers' ONNX exports. It promises: the same request gives the same picture on one device
 * and build; one of a batch is as it is alone, to a level of a pixel; values that are no numbers end it with an error,
 * never in a black picture. It knows no queue and no store. One thread at a time uses a painter. */
#pragma once

#include "base/json.h"
#include "diffusion/sample.h"
#include "model/device.h"

struct painter;

/* Loads the model. model.not_found, model.invalid, scheduler.unsupported, model.device, model.run, io; each names the
 * file. The caller closes it. */
struct painter *painter_open(const char *folder, const struct device *device, const char *cache_directory,
                             struct error *err) must_check;
void painter_close(struct painter *painter);
DEFINE_CLEANUP(struct painter *, painter_close)
#define _cleanup_painter_ _cleanup_(painter_close_cleanup)

/* The side of the tiles in which it decodes a picture of this size unless it is told: 0, the picture as a whole, where
 * there is the memory. The same with as much memory. */
int painter_tile(const struct painter *painter, int width, int height);
/* What a receipt says of it: {"model": {"name", "sha256"}, "loras": [{"name", "sha256", "weight", "matched",
 * "unmatched": how many of its tensors}], "vocabulary": the sha256 of both tokenizers, "device": "cpu" or "cuda"}. New
 * reference. */
json_t *painter_origin(const struct painter *painter);

/* The side that a picture has in both directions unless it is told, in pixels, as the model was trained. */
int painter_usual_side(const struct painter *painter);
/* The scheduler that this choice means with this model, as scheduler_config_to_json has it. scheduler.unsupported. New
 * reference. */
json_t *painter_scheduler(const struct painter *painter, const struct scheduler_choice *choice,
                          struct error *err) must_check;

enum painting_phase { PAINTING_TEXT, PAINTING_DENOISE, PAINTING_DECODE };

struct painting {
    const char *prompt, *negative; /* negative NULL: not given, which is not the empty text */
    struct prompt_options words;
    struct scheduler_choice scheduler;
    int steps, width, height, count; /* sizes in pixels, multiples of 8 */
    uint32_t seed;                   /* of the first picture; the next have the next ones */
    float guidance, rescale;
    int tile; /* pixels: the decoder makes larger pictures of blended squares of this side; 0: the painter's own choice
               */
    const atomic_bool *cancel;
    void (*phase)(void *context, enum painting_phase phase);                    /* that begins; NULL: none */
    void (*progress)(void *context, int done, int steps, const float *latents); /* NULL: none */
    void *context;
};

/* What was not in the pictures because the prompt was too long. */
struct painting_cut {
    size_t tokens, cut;
    char *text; /* owned; NULL: nothing was cut */
};
void painting_cut_free(struct painting_cut *cut);
#define _cleanup_painting_cut_ _cleanup_(painting_cut_free)

/* Writes [count][height][width][3] to `rgb`, and what was cut of the prompt, which the caller frees. prompt.invalid,
 * picture.invalid, scheduler.unsupported, picture.not_finite, model.run, model.memory, cancelled. */
bool painter_paint(struct painter *painter, const struct painting *painting, uint8_t *rgb, struct painting_cut *cut,
                   struct error *err) must_check;
