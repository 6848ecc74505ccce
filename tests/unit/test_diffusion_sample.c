/* The loop, guidance, conditioning and pixels, with networks that are formulas. */
#include "test.h"

#include <math.h>

#include "base/memory.h"
#include "diffusion/guidance.h"
#include "diffusion/noise.h"
#include "diffusion/rgb.h"
#include "diffusion/sample.h"

enum { WIDTH = 72, HEIGHT = 64, COUNT = 4 * 9 * 8, TOKENS = 3, STATES = 2, POOLED = 2, CALLS = 64 };

static const struct scheduler_config euler = {.kind = SCHEDULER_EULER,
                                              .spacing = SPACING_LEADING,
                                              .beta_start = 0.00085,
                                              .beta_end = 0.012,
                                              .steps_offset = 1,
                                              .original_steps = 50,
                                              .timestep_scaling = 10};

/* Remembers what it was given. */
struct fake {
    int calls, spoiled_call; /* the call, from 1, that gives a NaN */
    int rows[CALLS];
    float times[CALLS], first[CALLS];
    float states[32], size_ids[32 * 6], guidance[8];
    atomic_bool cancel;
    int cancel_after, progressed;
};

/* Differs by row in what it makes of a row's conditioning, and is not linear. */
static bool fake_unet(void *context, const struct unet_input *in, float *output, struct error *err) {
    struct fake *fake = context;
    size_t count = 4 * (size_t)in->height * (size_t)in->width;
    fake->rows[fake->calls] = in->rows;
    fake->times[fake->calls] = in->time;
    fake->first[fake->calls] = in->latents[0];
    memcpy(fake->size_ids, in->size_ids, (size_t)in->rows * 6 * sizeof(float));
    if (in->guidance)
        memcpy(fake->guidance, in->guidance, sizeof fake->guidance);
    for (int row = 0; row < in->rows; row++) {
        float own = in->states[row * TOKENS * STATES] + in->pooled[row * POOLED] / 4 + in->size_ids[row * 6 + 1] / 1000;
        fake->states[row] = in->states[row * TOKENS * STATES];
        for (size_t i = row * count; i < (row + 1) * count; i++)
            output[i] = tanhf(in->latents[i]) * 0.5F + own * 0.1F + in->time * 1e-4F;
    }
    if (++fake->calls == fake->spoiled_call)
        output[count - 1] = NAN;
    return true;
}

static bool fake_decode(void *context, const float *latents, int height, int width, float *planes, struct error *err) {
    size_t size = (size_t)height * (size_t)width, pixels = 64 * size;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < pixels; i++)
            planes[c * pixels + i] = latents[c * size];
    return true;
}

static void fake_progress(void *context, int done, int steps, const float *latents) {
    struct fake *fake = context;
    assert_int_equal(done, ++fake->progressed);
    atomic_store(&fake->cancel, done == fake->cancel_after);
}

static float positive_states[TOKENS * STATES] = {1, 2}, negative_states[TOKENS * STATES] = {-1, 5};
static float positive_pooled[POOLED] = {0.5F}, negative_pooled[POOLED] = {-0.25F};
static const struct conditioning positive = {TOKENS, positive_states, positive_pooled},
                                 negative = {TOKENS, negative_states, negative_pooled};

static struct sample_request request_of(struct fake *fake, int steps, int count) {
    return (struct sample_request){.scheduler = &euler,
                                   .steps = steps,
                                   .width = WIDTH,
                                   .height = HEIGHT,
                                   .count = count,
                                   .seed = 42,
                                   .guidance = 5,
                                   .positive = &positive,
                                   .negative = &negative,
                                   .cancel = &fake->cancel,
                                   .progress = fake_progress,
                                   .context = fake};
}

static struct sample_networks networks_of(struct fake *fake) {
    return (struct sample_networks){.unet = fake_unet,
                                    .decode = fake_decode,
                                    .context = fake,
                                    .states_width = STATES,
                                    .pooled_width = POOLED,
                                    .scaling = 0.13025F,
                                    .scale = {1, 1, 1, 1}};
}

/* --- the loop --- */

static void test_picture_of_a_batch_is_that_alone(void **state) {
    struct error err;
    for (int kind = 0; kind < SCHEDULER_KINDS; kind++) {
        struct fake fake = {0};
        struct scheduler_config config = euler;
        config.kind = (enum scheduler_kind)kind;
        float batch[3 * COUNT], alone[COUNT];
        struct sample_request request = request_of(&fake, 6, 3);
        struct sample_networks networks = networks_of(&fake);
        request.scheduler = &config;
        request.rescale = 0.7F;
        assert_ok(sample_latents(&request, &networks, batch, &err), err);
        for (int k = 0; k < 3; k++) {
            request.seed = 42 + (uint32_t)k;
            request.count = 1;
            fake = (struct fake){0};
            assert_ok(sample_latents(&request, &networks, alone, &err), err);
            assert_memory_equal(alone, batch + k * COUNT, sizeof alone);
        }
    }
}

static void test_begins_with_the_seed_s_noise(void **state) {
    struct error err;
    struct fake fake = {0};
    float latents[COUNT], values[COUNT];
    struct sample_request request = request_of(&fake, 20, 1);
    struct sample_networks networks = networks_of(&fake);
    assert_ok(sample_latents(&request, &networks, latents, &err), err);
    struct noise noise;
    noise_seed(&noise, 42);
    noise_draw(&noise, values, COUNT);
    /* scaled to the first sigma and back by the network's input: for "leading" nearly nothing remains */
    assert_float_equal(fake.first[0], values[0], 1e-5);
    assert_float_equal(fake.times[0], 951, 0);
    assert_int_equal(sample_latent_count(&request), COUNT);
    assert_int_equal(fake.calls, 20);
    assert_int_equal(fake.progressed, 20);
}

static bool silent_unet(void *context, const struct unet_input *in, float *output, struct error *err) {
    memset(output, 0, (size_t)in->rows * COUNT * sizeof *output);
    return true;
}

/* Of a network that sees no noise nothing but what the steps add remains: the latents' draw, then one a step. */
static void test_noise_is_drawn_in_order(void **state) {
    struct error err;
    struct fake fake = {0};
    struct scheduler_config config = euler;
    config.kind = SCHEDULER_EULER_ANCESTRAL;
    float latents[COUNT], wanted[COUNT], drawn[COUNT];
    struct sample_request request = request_of(&fake, 3, 1);
    struct sample_networks networks = networks_of(&fake);
    request.scheduler = &config;
    networks.unet = silent_unet;
    assert_ok(sample_latents(&request, &networks, latents, &err), err);
    _cleanup_scheduler_ struct scheduler *scheduler = scheduler_new(&config, 3, &err);
    const float *sigmas = scheduler_sigmas(scheduler);
    struct noise noise;
    noise_seed(&noise, 42);
    noise_draw(&noise, wanted, COUNT);
    for (int i = 0; i < COUNT; i++)
        wanted[i] *= scheduler_first_scale(scheduler);
    for (int step = 0; step < 3; step++) {
        double from = sigmas[step], to = sigmas[step + 1], up = sqrt(to * to * (from * from - to * to)) / from;
        noise_draw(&noise, drawn, COUNT);
        for (int i = 0; i < COUNT; i++)
            wanted[i] += (float)up * drawn[i];
    }
    for (int i = 0; i < COUNT; i++)
        assert_float_equal(latents[i], wanted[i], 1e-4);
}

static void test_rows_are_negatives_then_positives(void **state) {
    struct error err;
    struct fake fake = {0};
    float latents[2 * COUNT];
    struct size_ids own = {100, 200, 3, 4, 50, 60}, other = {1, 2, 3, 4, 5, 6};
    struct sample_request request = request_of(&fake, 2, 2);
    struct sample_networks networks = networks_of(&fake);
    static const float sizes[4][6] = {
        {1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}, {100, 200, 3, 4, 50, 60}, {100, 200, 3, 4, 50, 60}};
    static const float states[4] = {-1, -1, 1, 1};
    request.size = &own;
    request.negative_size = &other;
    assert_ok(sample_latents(&request, &networks, latents, &err), err);
    assert_int_equal(fake.rows[0], 4);
    assert_memory_equal(fake.size_ids, sizes, sizeof sizes);
    assert_memory_equal(fake.states, states, sizeof states);
    static const float usual[6] = {HEIGHT, WIDTH, 0, 0, HEIGHT, WIDTH};
    request.size = request.negative_size = NULL;
    fake = (struct fake){0};
    assert_ok(sample_latents(&request, &networks, latents, &err), err);
    assert_memory_equal(fake.size_ids, usual, sizeof usual);
    assert_memory_equal(fake.size_ids + 18, usual, sizeof usual);
}

static void test_without_guidance_there_is_no_negative(void **state) {
    struct error err;
    struct fake fake = {0};
    float latents[2 * COUNT];
    struct sample_request request = request_of(&fake, 2, 2);
    struct sample_networks networks = networks_of(&fake);
    request.guidance = 1;
    request.negative = NULL;
    assert_ok(sample_latents(&request, &networks, latents, &err), err);
    assert_int_equal(fake.rows[0], 2);
    assert_float_equal(fake.states[0], 1, 0);
    networks.guidance_width = 8; /* an LCM network is told instead */
    request.guidance = 8;
    fake = (struct fake){0};
    assert_ok(sample_latents(&request, &networks, latents, &err), err);
    assert_int_equal(fake.rows[0], 2);
    assert_float_equal(fake.guidance[0], sin(7000), 1e-6);
    assert_float_equal(fake.guidance[7], cos(0.7), 1e-6);
}

static void test_cancel(void **state) {
    struct error err;
    struct fake fake = {.cancel_after = 2};
    float latents[COUNT];
    struct sample_request request = request_of(&fake, 5, 1);
    struct sample_networks networks = networks_of(&fake);
    assert_error(sample_latents(&request, &networks, latents, &err), ERR_CANCELLED, "step 3 of 5", err);
    assert_int_equal(fake.calls, 2);
}

static void test_what_is_no_number_is_an_error(void **state) {
    struct error err;
    struct fake fake = {.spoiled_call = 3};
    float latents[COUNT];
    struct sample_request request = request_of(&fake, 5, 1);
    struct sample_networks networks = networks_of(&fake);
    assert_error(sample_latents(&request, &networks, latents, &err), ERR_PICTURE_NOT_FINITE, "step 3 of 5", err);
    assert_int_equal(fake.progressed, 2);
}

static void assert_refused(struct sample_request request, const char *words) {
    struct error err;
    struct fake fake = {0};
    static float latents[COUNT];
    struct sample_networks networks = networks_of(&fake);
    assert_error(sample_latents(&request, &networks, latents, &err), ERR_PICTURE_INVALID, words, err);
    assert_int_equal(fake.calls, 0);
}

static void test_what_cannot_be_made(void **state) {
    struct fake fake = {0};
    const struct sample_request good = request_of(&fake, 5, 1);
    struct sample_request bad = good;
    bad.width = 1023;
    assert_refused(bad, "width 1023");
    bad.width = 8192;
    assert_refused(bad, "width 8192");
    bad = good;
    bad.height = 0;
    assert_refused(bad, "height 0");
    bad = good;
    bad.count = 17;
    assert_refused(bad, "17 pictures");
    bad = good;
    bad.seed = UINT32_MAX;
    bad.count = 2;
    assert_refused(bad, "seed 4294967295");
    bad = good;
    bad.guidance = NAN;
    assert_refused(bad, "guidance");
    bad = good;
    bad.rescale = 1.5F;
    assert_refused(bad, "rescale 1.5");
    bad = good;
    bad.steps = 0;
    assert_refused(bad, "0 steps");
}

/* --- guidance --- */

static void test_guidance(void **state) {
    static const float c[4] = {1, 2, 3, 5}, u[4] = {0, 1, 5, 1};
    float plain[4], drawn[4];
    guidance_combine(u, c, 3, 0, 4, plain);
    static const float wanted[4] = {3, 4, -1, 13};
    assert_memory_equal(plain, wanted, sizeof plain);
    guidance_combine(u, c, 3, 0.25F, 4, drawn);
    double ratio = sqrt(8.75 / 104.75); /* sums of squares round the means 2.75 and 4.75 */
    for (int i = 0; i < 4; i++)
        assert_float_equal(drawn[i], wanted[i] * (0.25 * ratio + 0.75), 1e-5);
}

/* --- conditioning --- */

static bool fake_encoder(void *context, const int64_t *ids, int skip, float *states, float *pooled, struct error *err) {
    int width = *(int *)context;
    for (int i = 0; i < TOKENIZER_LENGTH; i++)
        for (int k = 0; k < width; k++)
            states[i * width + k] = (float)(ids[i] * 10 + k + 1000 * skip);
    pooled[0] = (float)ids[1];
    return true;
}

static void fill_prompt(struct prompt *prompt, int64_t first) {
    prompt->chunks = 2;
    prompt->ids = xnew_array(int64_t, 2 * TOKENIZER_LENGTH);
    prompt->weights = xnew_array(float, 2 * TOKENIZER_LENGTH);
    for (int i = 0; i < 2 * TOKENIZER_LENGTH; i++) {
        prompt->ids[i] = first + i;
        prompt->weights[i] = i == 80 ? 2 : 1;
    }
}

static void test_conditioning(void **state) {
    struct error err;
    int widths[2] = {2, 3};
    const struct text_encoder encoders[2] = {{fake_encoder, &widths[0], 2, 0}, {fake_encoder, &widths[1], 3, 1}};
    _cleanup_prompt_ struct prompt one = {0}, two = {0};
    _cleanup_conditioning_ struct conditioning made = {0}, nothing = {0};
    fill_prompt(&one, 0);
    fill_prompt(&two, 500);
    assert_ok(text_condition(encoders, (const struct prompt *[]){&one, &two}, 1, &made, &err), err);
    assert_int_equal(made.tokens, 154);
    static const float row[5] = {2 * 1800, 2 * 1801, 2 * 6800, 2 * 6801, 2 * 6802}; /* token 80, of weight 2 */
    assert_memory_equal(made.states + 80 * 5, row, sizeof row);
    assert_float_equal(made.states[5], 1010, 0);
    assert_float_equal(made.pooled[0], 501, 0); /* of the first chunk */
    text_condition_nothing(encoders, 2, &nothing);
    assert_int_equal(nothing.tokens, 154);
    assert_float_equal(nothing.states[153 * 5 + 4], 0, 0);
}

/* --- pixels --- */

static uint8_t level_of(float value) {
    struct error err;
    uint8_t rgb[3];
    assert_ok(rgb_from_planes((float[]){value, 0, 0}, 1, 1, rgb, &err), err);
    return rgb[0];
}

static void test_pixels_round_to_even(void **state) {
    int halves = 0;
    for (int k = 0; k < 255; k++) {
        float middle = ((float)k + 0.5F) / 255 * 2 - 1;
        assert_int_equal(level_of((float)k / 255 * 2 - 1), k);
        if ((middle * 0.5F + 0.5F) * 255 == (float)k + 0.5F) { /* exactly, which not all are */
            assert_int_equal(level_of(middle), k + k % 2);
            halves++;
        }
    }
    assert_true(halves > 50);
    assert_int_equal(level_of(-3), 0);
    assert_int_equal(level_of(1), 255);
    assert_int_equal(level_of(7), 255);
}

static void test_a_pixel_that_is_no_number(void **state) {
    struct error err;
    float planes[3 * 8] = {[2 * 8 + 3] = INFINITY};
    uint8_t rgb[3 * 8];
    assert_error(rgb_from_planes(planes, 8, 1, rgb, &err), ERR_PICTURE_NOT_FINITE, "at 3, 0", err);
}

static void test_decode(void **state) {
    struct error err;
    struct fake fake = {0};
    struct sample_networks networks = networks_of(&fake);
    static float latents[COUNT];
    static uint8_t rgb[3 * WIDTH * HEIGHT];
    latents[0] = 0.13025F * 0.5F; /* 0.5 after scaling: level 191.25 */
    assert_ok(sample_decode(&networks, latents, WIDTH, HEIGHT, 0, rgb, &err), err);
    assert_int_equal(rgb[0], 191);
    assert_int_equal(rgb[1], 128);
    networks.mean[1] = -0.5F;
    networks.scale[0] = 2;
    assert_ok(sample_decode(&networks, latents, WIDTH, HEIGHT, 0, rgb, &err), err);
    assert_int_equal(rgb[0], 255);
    assert_int_equal(rgb[1], 64);
    latents[0] = NAN;
    assert_code(sample_decode(&networks, latents, WIDTH, HEIGHT, 0, rgb, &err), ERR_PICTURE_NOT_FINITE, err);
}

/* ---- tiles: a decoder that sees one latent, and of each tile another brightness ---- */

enum { WIDE = 40, HIGH = 33, TILE = 128, OFFSET = 40 }; /* WIDE, HIGH: latents */

struct brightness {
    int calls;
    float step; /* from a tile to the next */
};

static bool uneven_decode(void *context, const float *latents, int height, int width, float *planes,
                          struct error *err) {
    struct brightness *brightness = context;
    float offset = (float)(brightness->calls++ % 2) * brightness->step;
    assert_true(height <= TILE / LATENT_PIXELS && width <= TILE / LATENT_PIXELS);
    for (int i = 0; i < 3 * height * width * 64; i++) {
        int x = i % (width * 8), y = i / (width * 8) % (height * 8);
        planes[i] = latents[y / 8 * width + x / 8] + offset;
    }
    return true;
}

static void decode_tiled(float step, uint8_t *rgb) {
    static float latents[4 * WIDE * HIGH];
    struct brightness brightness = {.step = step};
    struct sample_networks networks = {
        .decode = uneven_decode, .context = &brightness, .scaling = 1, .scale = {1, 1, 1, 1}};
    struct error err;
    for (int i = 0; i < WIDE * HIGH; i++)
        latents[i] = step == 0 ? (float)(i * 37 % 101) / 50 - 1 : -0.5F;
    assert_ok(sample_decode(&networks, latents, WIDE * 8, HIGH * 8, TILE, rgb, &err), err);
    assert_int_equal(brightness.calls, 3 * 3);
    for (int i = 0; step == 0 && i < WIDE * HIGH * 64; i++) {
        int x = i % (WIDE * 8) / 8, y = i / (WIDE * 8) / 8;
        assert_true(abs(rgb[3 * i] - level_of(latents[y * WIDE + x])) <= 1);
    }
}

static void test_tiles(void **state) {
    static uint8_t rgb[3 * WIDE * HIGH * 64];
    decode_tiled(0, rgb);
    decode_tiled((float)OFFSET / 127.5F, rgb);
    int largest = 0, stride = 3 * WIDE * 8;
    for (int i = 0; i < WIDE * HIGH * 64 * 3; i++) {
        largest = MAX(largest, i % stride >= 3 ? abs(rgb[i] - rgb[i - 3]) : 0);
        largest = MAX(largest, i >= stride ? abs(rgb[i] - rgb[i - stride]) : 0);
    }
    assert_in_range(largest, 1, OFFSET / 10); /* the tiles' ends differ by 40 levels, pixel and pixel by at most 4 */
    struct sample_networks networks = {.decode = uneven_decode};
    struct error err;
    float latents[4 * 64] = {0};
    static const int wrong[] = {-128, 8, 120, 132};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_code(sample_decode(&networks, latents, 64, 64, wrong[i], rgb, &err), ERR_PICTURE_INVALID, err);
}

static void test_preview(void **state) {
    static const float latents[8] = {0, 1, 0, -0.5F, 0, 0.25F, 0, 9};
    uint8_t rgb[6];
    rgb_from_latents(latents, 2, 1, rgb);
    static const uint8_t wanted[6] = {141, 125, 127, 0, 0, 0};
    assert_memory_equal(rgb, wanted, sizeof wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture_of_a_batch_is_that_alone),
        cmocka_unit_test(test_begins_with_the_seed_s_noise),
        cmocka_unit_test(test_noise_is_drawn_in_order),
        cmocka_unit_test(test_rows_are_negatives_then_positives),
        cmocka_unit_test(test_without_guidance_there_is_no_negative),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_what_is_no_number_is_an_error),
        cmocka_unit_test(test_what_cannot_be_made),
        cmocka_unit_test(test_guidance),
        cmocka_unit_test(test_conditioning),
        cmocka_unit_test(test_pixels_round_to_even),
        cmocka_unit_test(test_a_pixel_that_is_no_number),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_preview),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
