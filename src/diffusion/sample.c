#include "diffusion/sample.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/guidance.h"
#include "diffusion/noise.h"

/* A run: what the loop works on. All owned. */
struct run {
    struct scheduler *scheduler;
    struct noise *noises; /* a picture */
    bool guided;
    size_t count;  /* values of a picture's latents */
    size_t values; /* of all pictures' */
    float *input, *output, *noise;
    float *states, *pooled, *size_ids, *guidance; /* a row */
};

static void run_free(struct run *run) {
    if (run->scheduler)
        scheduler_free(run->scheduler);
    void *all[] = {run->noises, run->input,  run->output,   run->noise,
                   run->states, run->pooled, run->size_ids, run->guidance};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        free(all[i]);
}
#define _cleanup_run_ _cleanup_(run_free)

size_t sample_latent_count(const struct sample_request *request) {
    return (size_t)LATENT_CHANNELS * (size_t)(request->width / LATENT_PIXELS) *
           (size_t)(request->height / LATENT_PIXELS);
}

static bool check_size(const char *what, int size, struct error *err) {
    return (size >= PICTURE_LEAST && size <= PICTURE_MOST && size % LATENT_PIXELS == 0) ||
           error_set(err, ERR_PICTURE_INVALID, "%s %d: a multiple of %d from %d to %d", what, size, LATENT_PIXELS,
                     PICTURE_LEAST, PICTURE_MOST);
}

static bool check_request(const struct sample_request *request, struct error *err) {
    if (!check_size("width", request->width, err) || !check_size("height", request->height, err))
        return false;
    if (request->count < 1 || request->count > PICTURE_COUNT)
        return error_set(err, ERR_PICTURE_INVALID, "%d pictures at once: 1 to %d", request->count, PICTURE_COUNT);
    if (request->seed > UINT32_MAX - (uint32_t)(request->count - 1))
        return error_set(err, ERR_PICTURE_INVALID, "seed %u: with %d pictures the last one's is beyond %u",
                         request->seed, request->count, UINT32_MAX);
    if (!isfinite(request->guidance) || !(request->rescale >= 0 && request->rescale <= 1))
        return error_set(err, ERR_PICTURE_INVALID, "guidance %g, rescale %g: a number, and one from 0 to 1",
                         (double)request->guidance, (double)request->rescale);
    return true;
}

/* --- rows: negatives, then positives --- */

static int row_count(const struct run *run, const struct sample_request *request) {
    return request->count * (run->guided ? 2 : 1);
}

static float *tile(const float *negative, const float *positive, size_t width, int negatives, int rows) {
    float *out = xnew_array(float, width *(size_t)rows);
    for (int row = 0; row < rows; row++)
        memcpy(out + width * (size_t)row, row < negatives ? negative : positive, width * sizeof *out);
    return out;
}

static void fill_rows(struct run *run, const struct sample_request *request, const struct sample_networks *networks) {
    const struct conditioning *positive = request->positive, *negative = request->negative;
    int rows = row_count(run, request), negatives = rows - request->count;
    if (negatives == 0)
        negative = positive;
    struct size_ids own = {(float)request->height, (float)request->width, 0, 0,
                           (float)request->height, (float)request->width};
    const struct size_ids *size = request->size ? request->size : &own;
    const struct size_ids *negative_size = request->negative_size ? request->negative_size : size;
    size_t states = (size_t)positive->tokens * (size_t)networks->states_width;
    run->states = tile(negative->states, positive->states, states, negatives, rows);
    run->pooled = tile(negative->pooled, positive->pooled, (size_t)networks->pooled_width, negatives, rows);
    run->size_ids = tile(&negative_size->original_height, &size->original_height, SIZE_IDS, negatives, rows);
    if (networks->guidance_width == 0)
        return;
    _cleanup_free_ float *embedded = xnew_array(float, (size_t)networks->guidance_width);
    guidance_embed(request->guidance, networks->guidance_width, embedded);
    run->guidance = tile(embedded, embedded, (size_t)networks->guidance_width, negatives, rows);
}

/* --- steps --- */

/* From each picture's own generator. */
static void draw_noise(struct run *run, int pictures, float *out) {
    for (int k = 0; k < pictures; k++)
        noise_draw(&run->noises[k], out + (size_t)k * run->count, run->count);
}

static bool run_begin(struct run *run, const struct sample_request *request, const struct sample_networks *networks,
                      float *latents, struct error *err) {
    run->scheduler = scheduler_new(request->scheduler, request->steps, err);
    if (!run->scheduler)
        return false;
    run->guided = request->guidance > 1 && networks->guidance_width == 0;
    if (run->guided && request->negative->tokens != request->positive->tokens)
        return error_set(err, ERR_INTERNAL, "a prompt of %d tokens and a negative of %d", request->positive->tokens,
                         request->negative->tokens);
    run->count = sample_latent_count(request);
    run->values = run->count * (size_t)request->count;
    run->noises = xnew_array(struct noise, (size_t)request->count);
    run->noise = xnew_array(float, run->values);
    run->input = xnew_array(float, run->values * 2);
    run->output = xnew_array(float, run->values * 2);
    fill_rows(run, request, networks);
    for (int k = 0; k < request->count; k++)
        noise_seed(&run->noises[k], request->seed + (uint32_t)k);
    draw_noise(run, request->count, latents);
    for (size_t i = 0; i < run->values; i++)
        latents[i] *= scheduler_first_scale(run->scheduler);
    return true;
}

static bool predict_noise(struct run *run, const struct sample_request *request, const struct sample_networks *networks,
                          int step, const float *latents, struct error *err) {
    scheduler_scale_input(run->scheduler, step, latents, run->input, run->values);
    if (run->guided)
        memcpy(run->input + run->values, run->input, run->values * sizeof *run->input);
    struct unet_input input = {.rows = row_count(run, request),
                               .height = request->height / LATENT_PIXELS,
                               .width = request->width / LATENT_PIXELS,
                               .latents = run->input,
                               .time = scheduler_times(run->scheduler)[step],
                               .tokens = request->positive->tokens,
                               .states = run->states,
                               .pooled = run->pooled,
                               .size_ids = run->size_ids,
                               .guidance = run->guidance};
    if (!networks->unet(networks->context, &input, run->output, err))
        return error_wrap(err, "step %d of %d", step + 1, request->steps);
    for (int k = 0; run->guided && k < request->count; k++) {
        float *negative = run->output + (size_t)k * run->count;
        guidance_combine(negative, negative + run->values, request->guidance, request->rescale, run->count, negative);
    }
    return true;
}

static bool check_finite(const float *values, size_t count, const struct sample_request *request, int step,
                         struct error *err) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return error_set(err, ERR_PICTURE_NOT_FINITE,
                             "the network gave values that are no numbers at step %d of %d", step + 1, request->steps);
    return true;
}

static bool run_step(struct run *run, const struct sample_request *request, const struct sample_networks *networks,
                     int step, float *latents, struct error *err) {
    bool noisy = scheduler_takes_noise(run->scheduler, step);
    if (request->cancel && atomic_load(request->cancel))
        return error_set(err, ERR_CANCELLED, "cancelled before step %d of %d", step + 1, request->steps);
    if (!predict_noise(run, request, networks, step, latents, err))
        return false;
    if (noisy)
        draw_noise(run, request->count, run->noise);
    scheduler_step(run->scheduler, step, run->output, noisy ? run->noise : NULL, latents, run->values);
    if (!check_finite(latents, run->values, request, step, err))
        return false;
    if (request->progress)
        request->progress(request->context, step + 1, request->steps, latents);
    return true;
}

bool sample_latents(const struct sample_request *request, const struct sample_networks *networks, float *latents,
                    struct error *err) {
    _cleanup_run_ struct run run = {0};
    if (!check_request(request, err) || !run_begin(&run, request, networks, latents, err))
        return false;
    for (int step = 0; step < request->steps; step++)
        if (!run_step(&run, request, networks, step, latents, err))
            return false;
    return true;
}
