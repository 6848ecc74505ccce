/* Randomness from the kernel, for ids, keys and jitter. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Uniform in [0, 1). */
double random_unit(void);
/* `length` characters of Crockford base 32 in lower case (5 bits each) and a NUL. */
void random_text(char *out, size_t length);
