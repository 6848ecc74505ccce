/* float16, and noise against what torch.randn gives. */
#include "test.h"

#include <math.h>

#include "base/memory.h"
#include "diffusion/half.h"
#include "diffusion/noise.h"

/* --- float16 --- */

/* Of the definition: sign, exponent, fraction. */
static double half_value(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return half & 0x8000 ? -size : size;
}

enum { HALVES = 65536 };

/* In one buffer (the processor's way, where it has one) and one by one (the compiler's). */
static void convert_all(const uint16_t *halves, float *whole, float *single) {
    half_to_float(halves, whole, HALVES);
    for (int i = 0; i < HALVES; i++)
        half_to_float(halves + i, single + i, 1);
}

static void test_every_half(void **state) {
    static uint16_t halves[HALVES], back[HALVES];
    static float whole[HALVES], single[HALVES];
    for (int i = 0; i < HALVES; i++)
        halves[i] = (uint16_t)i;
    convert_all(halves, whole, single);
    half_from_float(whole, back, HALVES);
    for (int i = 0; i < HALVES; i++) {
        uint16_t alone;
        half_from_float(&whole[i], &alone, 1);
        assert_memory_equal(&whole[i], &single[i], sizeof(float));
        if (isnan(half_value(halves[i]))) {
            assert_true(isnan(whole[i]) && (back[i] & 0x7e00) == 0x7e00 && alone == back[i]);
            continue;
        }
        assert_true((double)whole[i] == half_value(halves[i]) && !signbit(whole[i]) == !(i & 0x8000));
        assert_int_equal(back[i], halves[i]);
        assert_int_equal(alone, halves[i]);
    }
}

/* Both ways agree with `wanted`. */
static void assert_half(float value, uint16_t wanted) {
    float many[8];
    uint16_t out[8], alone;
    for (int i = 0; i < 8; i++)
        many[i] = value;
    half_from_float(many, out, 8);
    half_from_float(&value, &alone, 1);
    if (out[7] != wanted || alone != wanted)
        fail_msg("%a: %04x and %04x, not %04x", (double)value, out[7], alone, wanted);
}

/* What lies between two neighbours goes to the nearer one, and from the middle to the even one. */
static void test_half_rounds_to_nearest_even(void **state) {
    for (uint16_t half = 0; half < 0x7bff; half++) {
        float middle = (float)((half_value(half) + half_value(half + 1)) / 2); /* exact */
        assert_half(middle, half & 1 ? half + 1 : half);
        assert_half(nextafterf(middle, 0), half);
        assert_half(nextafterf(middle, INFINITY), half + 1);
        assert_half(-nextafterf(middle, INFINITY), (uint16_t)(0x8000 | (half + 1)));
    }
    assert_half(65519.996F, 0x7bff);
    assert_half(65520, 0x7c00);
    assert_half(-1e30F, 0xfc00);
    assert_half(-0x1p-26F, 0x8000);
}

/* --- noise --- */

static uint64_t fnv1a(const void *data, size_t length) {
    const unsigned char *bytes = data;
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3U;
    return hash;
}

static uint64_t noise_hash(uint32_t seed, size_t count) {
    _cleanup_free_ float *values = xnew_array(float, count);
    struct noise noise;
    noise_seed(&noise, seed);
    noise_draw(&noise, values, count);
    return fnv1a(values, count * sizeof *values);
}

static void test_sixteen_words(void **state) {
    static const uint32_t wanted[2][16] = {
        {0xbf901b85, 0xbf93808a, 0xbe804bd6, 0xbede255d, 0x3f594515, 0x3f312783, 0xbea1cc6d, 0xc0075fc1, 0x3ea50138,
         0xbfa1b4f4, 0x3eb330ff, 0x3e9dc3bb, 0x3df56f77, 0x3f9e6b93, 0x3f8ef28e, 0xbe7d367c},
        {0x3ff6a529, 0x3fbe5f53, 0x3f669567, 0xc006c0db, 0x3f2dacd5, 0xbf9e0591, 0xbd306786, 0xbfcd65ba, 0xbf408bf0,
         0x3fd3095b, 0xbec8f2f6, 0xbfb3a966, 0xbf3a566e, 0xbf0f36d1, 0xbf44d2a0, 0x3f432f9f}};
    for (int i = 0; i < 2; i++) {
        float values[16];
        struct noise noise;
        noise_seed(&noise, i ? 42 : 0);
        noise_draw(&noise, values, 16);
        assert_memory_equal(values, wanted[i], sizeof values);
    }
}

/* Latents of 1024 and 1016 pixels square among them; made with PyTorch. */
static void test_noise_hashes(void **state) {
    assert_int_equal(noise_hash(0, 16), 0x28d49f8f92bf21d6U);
    assert_int_equal(noise_hash(0, 65536), 0x17259a042c281ef1U);
    assert_int_equal(noise_hash(42, 1024), 0x84028512adc067baU);
    assert_int_equal(noise_hash(1, 64516), 0x9cde8034dab89249U);
    assert_int_equal(noise_hash(3577, 27520), 0x91df1253360931c6U); /* a uniform is 0 there, and a product -0 */
    assert_int_equal(noise_hash(0xffffffff, 1000), 0x9d8def090ce0cb8U);
}

static void test_few_values_and_the_kept_one(void **state) {
    static const float wanted[] = {1.5410F, -0.2934F, -2.1788F, 0.5684F, -1.0845F, -1.3986F, 0.4033F, 0.8380F};
    struct noise whole, parts;
    float values[8], one;
    noise_seed(&whole, 0);
    noise_seed(&parts, 0);
    noise_draw(&whole, values, 8);
    for (int i = 0; i < 8; i++) {
        noise_draw(&parts, &one, 1);
        assert_float_equal(values[i], wanted[i], 5e-5);
        assert_float_equal(one, values[i], 0);
    }
}

/* A draw of many neither uses nor drops the value that a draw of few has kept. */
static void test_draws_in_turn(void **state) {
    float values[3 + 20 + 2];
    struct noise noise;
    noise_seed(&noise, 7);
    noise_draw(&noise, values, 3);
    noise_draw(&noise, values + 3, 20);
    noise_draw(&noise, values + 23, 2);
    assert_int_equal(fnv1a(values, sizeof values), 0xea15ce278aa42a00U);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_half_rounds_to_nearest_even),
        cmocka_unit_test(test_sixteen_words),
        cmocka_unit_test(test_noise_hashes),
        cmocka_unit_test(test_few_values_and_the_kept_one),
        cmocka_unit_test(test_draws_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
