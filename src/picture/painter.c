#include "picture/painter.h"

#include "base/memory.h"

struct painter *painter_new(struct image_model *model, json_t *origin) {
    struct painter *painter = xnew(struct painter);
    painter->model = image_model_keep(model);
    painter->origin = origin;
    return painter;
}

struct painter *painter_open(const char *folder, const struct device *device, const char *cache_directory,
                             struct error *err) {
    _cleanup_image_model_ struct image_model *model = image_model_open(folder, err);
    if (!model)
        return NULL;
    _cleanup_painter_ struct painter *painter = painter_new(model, json_pack("{s:{s:s}}", "model", "name", folder));
    return painter_load(painter, NULL, 0, device, cache_directory, err) ? steal(painter) : NULL;
}

void painter_close(struct painter *painter) {
    picture_networks_free_cleanup(&painter->networks);
    for (int part = 0; part < PICTURE_PARTS; part++)
        loaded_release_cleanup(&painter->parts[part]);
    image_model_release(painter->model);
    json_decref(painter->origin);
    free(painter);
}

json_t *painter_origin(const struct painter *painter) { return json_incref(painter->origin); }

int painter_usual_side(const struct painter *painter) { return painter->model->usual_side; }

static bool painter_check_size(const struct painter *painter, const struct painting *painting, struct error *err) {
    int unit = painter->model->size_unit;
    return (painting->width % unit == 0 && painting->height % unit == 0) ||
           error_set(err, ERR_PICTURE_INVALID, "%d x %d is no size for this model: both must be multiples of %d",
                     painting->width, painting->height, unit);
}

json_t *painter_scheduler(const struct painter *painter, const struct scheduler_choice *choice, struct error *err) {
    struct scheduler_config config = painter->model->scheduler;
    return scheduler_config_choose(&config, choice, err) ? scheduler_config_to_json(&config) : NULL;
}

/* Numbers that the decoder has of a pixel at its widest, where it is as large as the picture: 256 channels, of what
 * goes into a layer, what comes out, and what a convolution is worked out in. */
enum { DECODER_BYTES = 3 * 256 * 4, TILE = 512 };

int painter_tile(const struct painter *painter, int width, int height) {
    int64_t bytes = (int64_t)width * height * DECODER_BYTES;
    return painter->memory_mb > 0 && bytes >> 20 > painter->memory_mb / 4 ? TILE : 0;
}

void painting_cut_free(struct painting_cut *cut) {
    free(cut->text);
    *cut = (struct painting_cut){0};
}

/* A text as either tokenizer has it. */
struct two_prompts {
    struct prompt prompts[2];
};

static void two_prompts_free(struct two_prompts *two) {
    for (int i = 0; i < 2; i++)
        prompt_free(&two->prompts[i]);
}
#define _cleanup_two_prompts_ _cleanup_(two_prompts_free)

static bool encode_text(const struct painter *painter, const char *text, const struct prompt_options *options,
                        struct two_prompts *out, struct error *err) {
    for (int i = 0; i < 2; i++)
        if (!prompt_encode(painter->model->tokenizers[i], text, options, &out->prompts[i], err))
            return false;
    return true;
}

static bool condition_text(const struct painter *painter, struct two_prompts *two, int chunks, struct conditioning *out,
                           struct error *err) {
    for (int i = 0; i < 2; i++)
        prompt_pad(&two->prompts[i], painter->model->tokenizers[i], chunks);
    const struct prompt *prompts[2] = {&two->prompts[0], &two->prompts[1]};
    return text_condition(picture_networks_text(painter->networks), prompts, 0, out, err);
}

/* The prompt and what is to be avoided, of as many tokens. */
struct conditions {
    struct conditioning positive, negative;
};

static void conditions_free(struct conditions *conditions) {
    conditioning_free(&conditions->positive);
    conditioning_free(&conditions->negative);
}
#define _cleanup_conditions_ _cleanup_(conditions_free)

static bool condition_both(const struct painter *painter, const struct painting *painting, struct conditions *out,
                           struct painting_cut *cut, struct error *err) {
    bool is_unused = painting->guidance <= 1; /* zeros then too, which cost nothing */
    bool is_zero = is_unused || (!painting->negative && painter->model->zero_negative);
    const char *avoided = painting->negative ? painting->negative : "";
    _cleanup_two_prompts_ struct two_prompts prompt = {0}, negative = {0};
    if (!encode_text(painter, painting->prompt, &painting->words, &prompt, err) ||
        !encode_text(painter, avoided, &painting->words, &negative, err))
        return false;
    int chunks = MAX(prompt.prompts[0].chunks, negative.prompts[0].chunks);
    *cut = (struct painting_cut){.tokens = prompt.prompts[0].tokens, .cut = prompt.prompts[0].cut};
    cut->text = steal(prompt.prompts[0].cut_text);
    if (!condition_text(painter, &prompt, chunks, &out->positive, err))
        return false;
    if (!is_zero)
        return condition_text(painter, &negative, chunks, &out->negative, err);
    text_condition_nothing(picture_networks_text(painter->networks), chunks, &out->negative);
    return true;
}

static void begin_phase(const struct painting *painting, enum painting_phase phase) {
    if (painting->phase)
        painting->phase(painting->context, phase);
}

bool painter_paint(struct painter *painter, const struct painting *painting, uint8_t *rgb, struct painting_cut *cut,
                   struct error *err) {
    const struct sample_networks *networks = picture_networks_sampling(painter->networks);
    int tile = painting->tile ? painting->tile : painter_tile(painter, painting->width, painting->height);
    struct scheduler_config scheduler = painter->model->scheduler;
    _cleanup_conditions_ struct conditions conditions = {0};
    begin_phase(painting, PAINTING_TEXT);
    if (!painter_check_size(painter, painting, err) ||
        !scheduler_config_choose(&scheduler, &painting->scheduler, err) ||
        !condition_both(painter, painting, &conditions, cut, err))
        return false;
    struct sample_request request = {.scheduler = &scheduler,
                                     .steps = painting->steps,
                                     .width = painting->width,
                                     .height = painting->height,
                                     .count = painting->count,
                                     .seed = painting->seed,
                                     .guidance = painting->guidance,
                                     .rescale = painting->rescale,
                                     .positive = &conditions.positive,
                                     .negative = &conditions.negative,
                                     .cancel = painting->cancel,
                                     .progress = painting->progress,
                                     .context = painting->context};
    size_t values = sample_latent_count(&request), bytes = 3 * (size_t)painting->width * (size_t)painting->height;
    _cleanup_free_ float *latents = xnew_array(float, values *(size_t)MAX(painting->count, 1));
    begin_phase(painting, PAINTING_DENOISE);
    if (!sample_latents(&request, networks, latents, err))
        return false;
    begin_phase(painting, PAINTING_DECODE);
    for (int k = 0; k < painting->count; k++)
        if (!sample_decode(networks, latents + (size_t)k * values, painting->width, painting->height, tile,
                           rgb + (size_t)k * bytes, err))
            return error_wrap(err, "picture %d", k + 1);
    return true;
}
