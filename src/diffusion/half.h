/* float16 (IEEE 754 binary16) and back. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Exact. A signalling NaN becomes a quiet one. */
void half_to_float(const uint16_t *in, float *out, size_t count);
/* To nearest, ties to even; beyond 65,504 infinity. */
void half_from_float(const float *in, uint16_t *out, size_t count);
