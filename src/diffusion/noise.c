/* Compiled without contraction (meson.build): where PyTorch's compiler fused a multiplication and an addition, fmaf
 * says so, and nowhere else may it be done. */
#include "diffusion/noise.h"

#include <math.h>
#include <string.h>

enum { MT_WORDS = 624, MT_AHEAD = 397, BLOCK = 16, HALF_BLOCK = BLOCK / 2 };

/* --- mt19937 (Matsumoto and Nishimura) --- */

void noise_seed(struct noise *noise, uint32_t seed) {
    *noise = (struct noise){.next = MT_WORDS};
    noise->words[0] = seed;
    for (uint32_t i = 1; i < MT_WORDS; i++) {
        uint32_t before = noise->words[i - 1];
        noise->words[i] = 1812433253U * (before ^ before >> 30) + i;
    }
}

static void mt_refill(struct noise *noise) {
    uint32_t *words = noise->words;
    for (int i = 0; i < MT_WORDS; i++) {
        uint32_t joined = (words[i] & 0x80000000U) | (words[(i + 1) % MT_WORDS] & 0x7fffffffU);
        words[i] = words[(i + MT_AHEAD) % MT_WORDS] ^ joined >> 1 ^ (joined & 1 ? 0x9908b0dfU : 0);
    }
    noise->next = 0;
}

static uint32_t mt_next(struct noise *noise) {
    if (noise->next == MT_WORDS)
        mt_refill(noise);
    uint32_t word = noise->words[noise->next++];
    word ^= word >> 11;
    word ^= word << 7 & 0x9d2c5680U;
    word ^= word << 15 & 0xefc60000U;
    return word ^ word >> 18;
}

/* In [0, 1), of 24 and of 53 bits. */
static float uniform_float(struct noise *noise) { return (float)(mt_next(noise) & 0xffffff) * 0x1p-24F; }

static double uniform_double(struct noise *noise) {
    uint64_t high = mt_next(noise);
    return (double)((high << 32 | mt_next(noise)) & 0x1fffffffffffffU) * 0x1p-53;
}

/* --- few values: Box and Muller in doubles --- */

static float normal_of_two(struct noise *noise) {
    noise->has_second = !noise->has_second;
    if (!noise->has_second)
        return (float)noise->second;
    double u1 = uniform_double(noise), u2 = uniform_double(noise);
    double radius = sqrt(-2.0 * log1p(-u2)), angle = 2.0 * M_PI * u1;
    noise->second = radius * sin(angle);
    return (float)(radius * cos(angle));
}

/* --- sixteen at a time: the Cephes polynomials of avx_mathfun.h --- */

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* log256_ps, of x in (0, 1]. */
static inline float cephes_log(float x) {
    float exponent = (float)((int32_t)(bits_of(x) >> 23) - 126);
    x = float_of((bits_of(x) & 0x007fffffU) | 0x3f000000U); /* the mantissa, in [1/2, 1) */
    bool low = x < 0.707106781186547524F;
    exponent -= low ? 1.0F : 0.0F;
    x = x - 1.0F + (low ? x : 0.0F);
    float z = x * x, y = 7.0376836292E-2F;
    y = fmaf(y, x, -1.1514610310E-1F);
    y = fmaf(y, x, 1.1676998740E-1F);
    y = fmaf(y, x, -1.2420140846E-1F);
    y = fmaf(y, x, 1.4249322787E-1F);
    y = fmaf(y, x, -1.6668057665E-1F);
    y = fmaf(y, x, 2.0000714765E-1F);
    y = fmaf(y, x, -2.4999993993E-1F);
    y = fmaf(y, x, 3.3333331174E-1F);
    y = fmaf(y * x, z, exponent * -2.12194440e-4F);
    y = fmaf(-z, 0.5F, y);
    return fmaf(exponent, 0.693359375F, x + y);
}

/* sincos256_ps, of x >= 0. */
static inline void cephes_sincos(float x, float *sine, float *cosine) {
    int32_t octant = ((int32_t)(x * 1.27323954473516F) + 1) & ~1; /* 4 / pi */
    float turns = (float)octant;
    x = fmaf(turns, -0.78515625F, x);
    x = fmaf(turns, -2.4187564849853515625e-4F, x);
    x = fmaf(turns, -3.77489497744594108e-8F, x);
    float z = x * x, c = 2.443315711809948E-005F, s = -1.9515295891E-4F;
    c = fmaf(c, z, -1.388731625493765E-003F);
    c = fmaf(c, z, 4.166664568298827E-002F);
    c = fmaf(c * z, z, -(z * 0.5F)) + 1.0F;
    s = fmaf(s, z, 8.3321608736E-3F);
    s = fmaf(s, z, -1.6666654611E-1F);
    s = fmaf(s * z, x, x);
    bool swapped = octant & 2;
    uint32_t sine_sign = ((uint32_t)octant & 4) << 29, cosine_sign = (~((uint32_t)octant - 2) & 4) << 29;
    *sine = float_of(bits_of(swapped ? c : s) ^ sine_sign);
    *cosine = float_of(bits_of(swapped ? s : c) ^ cosine_sign);
}

/* Turns 16 uniforms into 16 normals. The zero that is added makes +0 of -0, as the addition of the mean does there. */
static inline __attribute__((always_inline)) void normal_block(float *data) {
    for (int i = 0; i < HALF_BLOCK; i++) {
        float sine, cosine;
        float radius = sqrtf(-2.0F * cephes_log(1.0F - data[i]));
        cephes_sincos(2.0F * (float)M_PI * data[i + HALF_BLOCK], &sine, &cosine);
        data[i] = radius * cosine + 0.0F;
        data[i + HALF_BLOCK] = radius * sine + 0.0F;
    }
}

/* The same twice: where the processor fuses, six times as fast as where the library has to. */
__attribute__((target("avx2,fma"))) static void normal_blocks_fast(float *data, size_t blocks) {
    for (size_t i = 0; i < blocks; i++)
        normal_block(data + i * BLOCK);
}

static void normal_blocks(float *data, size_t blocks) {
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        normal_blocks_fast(data, blocks);
        return;
    }
    for (size_t i = 0; i < blocks; i++)
        normal_block(data + i * BLOCK);
}

void noise_draw(struct noise *noise, float *out, size_t count) {
    if (count < BLOCK) {
        for (size_t i = 0; i < count; i++)
            out[i] = normal_of_two(noise);
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = uniform_float(noise);
    normal_blocks(out, count / BLOCK);
    if (count % BLOCK == 0)
        return;
    float *last = out + count - BLOCK; /* sixteen fresh ones over the last, some of which were done already */
    for (int i = 0; i < BLOCK; i++)
        last[i] = uniform_float(noise);
    normal_blocks(last, 1);
}
