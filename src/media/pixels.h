/* What the image operations share: planes of any sample type, and colours. Only for the .c files of this
 * room. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "media/video.h"

enum sample_type { SAMPLE_8, SAMPLE_16, SAMPLE_FLOAT };

struct plane {
    const void *data;
    ptrdiff_t stride; /* bytes */
    int width, height;
    enum sample_type type;
    /* Luma (x, y) lies at ((x - offset_x) * scale_x, (y - offset_y) * scale_y) here. */
    float scale_x, scale_y, offset_x, offset_y;
};

/* One picture's planes and the numbers that take its samples to RGB (0 to 1) and back. */
struct pixels {
    struct plane planes[3];
    int shift_x, shift_y; /* log2 of the chroma subsampling */
    float kr, kg, kb;     /* the matrix's luma weights */
    float luma_zero, luma_range, chroma_zero, chroma_range;
    int highest; /* sample value */
};

/* The frame's planes, borrowed, with the matrix, range and chroma siting of its tags. */
struct pixels pixels_of(const struct frame *frame);
/* `count` samples of a plane along x + i * dx, y + i * dy (luma pixels), bilinear, the border repeated. */
void plane_sample_row(const struct plane *plane, double x, double y, double dx, double dy, int count, float *out);
/* sum[i] += weight * sample (first + i, line), `count` times. */
void plane_add_row(const struct plane *plane, int line, int first, int count, float weight, float *sum);
/* In luma pixels. */
struct box {
    double left, top, right, bottom;
};
/* Prepares a plane for a map under which `shrink_x` x `shrink_y` luma pixels become one: sampling single points would
 * alias. The result is the part of the plane under `box`, and a margin around it, with each block of that many samples
 * averaged into one; *samples is its memory, which the caller frees. Where a block is less than two samples wide and
 * high the result is the plane itself and *samples is NULL. */
struct plane plane_shrink(const struct plane *plane, const struct box *box, double shrink_x, double shrink_y,
                          float **samples);
/* Samples to RGB, clamped to 0 to 1. */
void pixels_to_rgb(const struct pixels *pixels, const float *y, const float *cb, const float *cr, int count, float *r,
                   float *g, float *b);
/* RGB in place to sample values Y, Cb, Cr, not rounded. */
void pixels_from_rgb(const struct pixels *pixels, float *r, float *g, float *b, int count);
