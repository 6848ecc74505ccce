/* Pixels: crops out of frames and blends back into them. Tight loops; each has a benchmark.
 *
 * Networks see small 8-bit-like RGB pictures as planar float [3][height][width], 0 to 1. Only the region of
 * interest of a frame is ever converted, with the frame's own matrix, range and bit depth. */
#pragma once

#include "media/affine.h"
#include "media/video.h"

/* Samples `size` x `size` RGB through `crop_to_frame`, bilinear, with area averaging when it shrinks by more
 * than 2. Outside the frame the border repeats. */
void image_crop(const struct frame *frame, const struct affine *crop_to_frame, int size, float *rgb);
/* The whole frame scaled into `width` x `height` RGB, in the middle, with black around it; *to_frame maps a
 * pixel of the result to the frame. */
void image_letterbox(const struct frame *frame, int width, int height, float *rgb, struct affine *to_frame);
/* Blends planar RGB `size` x `size` into the frame where mask > 0: frame += mask * (patch - frame). `mask` is
 * [size][size] in 0 to 1. Pixels whose mask is 0 are not written. */
void image_blend(struct frame *frame, const struct affine *crop_to_frame, int size, const float *rgb,
                 const float *mask);
/* Fills a polygon (crop pixels) with 1 and feathers its edge inwards over `feather` pixels; the rest is 0. */
void image_mask_polygon(const struct point *points, int n, int size, float feather, float *mask);
/* Swaps R and B planes in place (Wav2Lip is BGR). */
void image_swap_rb(float *rgb, int width, int height);
/* Makes the frame's pixels private, so that writing to them is allowed. */
void frame_make_writable(struct frame *frame);
