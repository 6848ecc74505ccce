/* Small versions of pictures. Private to this room. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { THUMB_SIDE = 256 };

/* The size of a picture that fits into side x side: as it is, or smaller. */
void thumb_fit(size_t side, size_t width, size_t height, size_t *out_width, size_t *out_height);
/* Shrinks a part of an RGB picture whose rows are `stride` pixels long into one whose rows are `out_stride` long: each
 * pixel is the mean of those that it covers. */
void thumb_shrink(const uint8_t *rgb, size_t stride, size_t width, size_t height, uint8_t *out, size_t out_stride,
                  size_t out_width, size_t out_height);
