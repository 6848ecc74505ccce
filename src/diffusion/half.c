#include "diffusion/half.h"

#include <immintrin.h>
#include <string.h>

#include <stdbool.h>

enum { LANES = 8 };

/* Both return how many values they did: whole vectors. */
__attribute__((target("avx,f16c"))) static size_t to_float_fast(const uint16_t *in, float *out, size_t count) {
    size_t done = 0;
    for (; done + LANES <= count; done += LANES)
        _mm256_storeu_ps(out + done, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + done))));
    return done;
}

__attribute__((target("avx,f16c"))) static size_t from_float_fast(const float *in, uint16_t *out, size_t count) {
    size_t done = 0;
    for (; done + LANES <= count; done += LANES)
        _mm_storeu_si128((__m128i *)(out + done),
                         _mm256_cvtps_ph(_mm256_loadu_ps(in + done), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    return done;
}

static bool half_is_fast(void) { return __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c"); }

/* The compiler's own conversions, which round alike on every machine. */
void half_to_float(const uint16_t *in, float *out, size_t count) {
    for (size_t i = half_is_fast() ? to_float_fast(in, out, count) : 0; i < count; i++) {
        _Float16 value;
        memcpy(&value, &in[i], sizeof value);
        out[i] = (float)value;
    }
}

void half_from_float(const float *in, uint16_t *out, size_t count) {
    for (size_t i = half_is_fast() ? from_float_fast(in, out, count) : 0; i < count; i++) {
        _Float16 value = (_Float16)in[i];
        memcpy(&out[i], &value, sizeof value);
    }
}
