/* Noise: torch.randn of float32 on a CPU, bit for bit, so that one seed begins the same picture on every machine and in
 * PyTorch. The kernels are those that PyTorch 2.x runs on x86 with AVX2 (ATen: MT19937RNGEngine.h,
 * cpu/DistributionTemplates.h, DistributionsHelper.h, cpu/avx_mathfun.h); on ARM PyTorch's own differ in the last bit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A torch.Generator. Needs no release; a copy goes on alike. */
struct noise {
    uint32_t words[624];
    int next;        /* of the words; 624: all are used up */
    bool has_second; /* draws of fewer than 16 make two values at a time, and keep one */
    double second;
};

/* manual_seed: PyTorch uses the low 32 bits of a seed only, so there are no more. */
void noise_seed(struct noise *noise, uint32_t seed);
/* torch.randn(count): `count` values of mean 0 and deviation 1. Where a draw ends matters: two draws of 16 are not one
 * of 32. */
void noise_draw(struct noise *noise, float *out, size_t count);
