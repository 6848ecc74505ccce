#include "media/image.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/ffmpeg.h"
#include "media/pixels.h"

void frame_make_writable(struct frame *frame) {
    if (av_frame_make_writable(frame->picture) < 0)
        media_must(NULL);
}

void image_swap_rb(float *rgb, int width, int height) {
    size_t count = (size_t)width * (size_t)height;
    float *restrict r = rgb, *restrict b = rgb + 2 * count;
    for (size_t i = 0; i < count; i++) {
        float red = r[i];
        r[i] = b[i];
        b[i] = red;
    }
}

/* Samples a side that one result averages: 1, or so many that none is skipped when the map shrinks by more
 * than 2. */
static int samples_a_side(const struct affine *map) {
    double shrink = sqrt(fabs(map->a * map->e - map->b * map->d));
    return shrink > 2 ? (int)ceil(shrink / 2) : 1;
}

/* One row of a plane seen through `map`, at u = first..., v; each result averages side x side samples. */
static void map_row(const struct plane *plane, const struct affine *map, double u, double v, int side, int count,
                    float *restrict out, float *restrict scratch) {
    if (side == 1) {
        plane_sample_row(plane, map->a * u + map->b * v + map->c, map->d * u + map->e * v + map->f, map->a, map->d,
                         count, out);
        return;
    }
    memset(out, 0, sizeof *out * (size_t)count);
    for (int i = 0; i < side * side; i++) {
        double su = u + (i % side + 0.5) / side - 0.5, sv = v + (i / side + 0.5) / side - 0.5;
        map_row(plane, map, su, sv, 1, count, scratch, NULL);
        for (int k = 0; k < count; k++)
            out[k] += scratch[k];
    }
    float scale = 1.0f / (float)(side * side);
    for (int k = 0; k < count; k++)
        out[k] *= scale;
}

/* A plane with fewer samples than the frame needs fewer to be averaged. */
static int plane_samples(const struct plane *plane, int side) { return MAX(1, (int)ceil(side * plane->scale_x)); }

void image_crop(const struct frame *frame, const struct affine *crop_to_frame, int size, float *rgb) {
    struct pixels pixels = pixels_of(frame);
    int side = samples_a_side(crop_to_frame);
    size_t area = (size_t)size * (size_t)size;
    _cleanup_free_ float *rows = xnew_array(float, 4 * (size_t)size);
    for (int v = 0; v < size; v++) {
        for (int i = 0; i < 3; i++)
            map_row(&pixels.planes[i], crop_to_frame, 0, v, plane_samples(&pixels.planes[i], side), size,
                    rows + i * size, rows + 3 * size);
        float *out = rgb + (size_t)v * (size_t)size;
        pixels_to_rgb(&pixels, rows, rows + size, rows + 2 * size, size, out, out + area, out + 2 * area);
    }
}

/* --- scaling along the axes --- */

/* For each of `count` results, `most` inputs from `first` on and their weights, which sum to 1. */
struct taps {
    int *first;
    float *weights;
    int most;
};
static void taps_free(struct taps *taps) {
    free(taps->first);
    free(taps->weights);
}

/* Result i lies at scale * i + shift of `from` inputs. Shrinking averages the area, growing interpolates: a
 * box of the result's width, or a triangle of width 2. Beyond the border the last input counts. */
static struct taps make_taps(int from, int count, double scale, double shift) {
    struct taps taps = {.most = MIN((int)ceil(fmax(scale, 1)) + 2, from)};
    taps.first = xnew_array(int, (size_t)count);
    taps.weights = xnew_array(float, (size_t)count *(size_t)taps.most);
    for (int i = 0; i < count; i++) {
        double at = scale * i + shift, reach = scale > 1 ? scale / 2 + 0.5 : 1;
        int begin = (int)ceil(at - reach), end = (int)floor(at + reach);
        taps.first[i] = CLAMP(begin, 0, from - taps.most);
        float *weights = taps.weights + (size_t)i * (size_t)taps.most, sum = 0;
        for (int k = begin; k <= end; k++) {
            double weight = scale > 1 ? fmin(1, reach - fabs(k - at)) : 1 - fabs(k - at);
            weights[CLAMP(CLAMP(k, 0, from - 1) - taps.first[i], 0, taps.most - 1)] += (float)weight;
            sum += (float)weight;
        }
        for (int k = 0; k < taps.most; k++)
            weights[k] /= sum;
    }
    return taps;
}

/* sum += weight * row, for each sample type. */
static void add_row(const struct plane *plane, int line, float weight, float *restrict sum) {
    const char *row = (const char *)plane->data + line * plane->stride;
    const uint8_t *restrict bytes = (const uint8_t *)row;
    const uint16_t *restrict words = (const uint16_t *)row;
    const float *restrict floats = (const float *)row;
    int width = plane->width;
    if (plane->type == SAMPLE_8)
        for (int x = 0; x < width; x++)
            sum[x] += weight * (float)bytes[x];
    else if (plane->type == SAMPLE_16)
        for (int x = 0; x < width; x++)
            sum[x] += weight * (float)words[x];
    else
        for (int x = 0; x < width; x++)
            sum[x] += weight * floats[x];
}

/* `width` x `height` results; result (i, j) lies at luma position map->a * i + map->c, map->e * j + map->f.
 */
static void scale_plane(const struct plane *plane, const struct affine *map, int width, int height, float *out) {
    _cleanup_(taps_free) struct taps columns =
        make_taps(plane->width, width, map->a * plane->scale_x, (map->c - plane->offset_x) * plane->scale_x);
    _cleanup_(taps_free) struct taps lines =
        make_taps(plane->height, height, map->e * plane->scale_y, (map->f - plane->offset_y) * plane->scale_y);
    _cleanup_free_ float *sum = xnew_array(float, (size_t)plane->width);
    for (int j = 0; j < height; j++) {
        memset(sum, 0, sizeof *sum * (size_t)plane->width);
        for (int k = 0; k < lines.most; k++)
            if (lines.weights[j * lines.most + k] > 0)
                add_row(plane, lines.first[j] + k, lines.weights[j * lines.most + k], sum);
        for (int i = 0; i < width; i++) {
            const float *from = sum + columns.first[i], *weights = columns.weights + (ptrdiff_t)i * columns.most;
            float value = 0;
            for (int k = 0; k < columns.most; k++)
                value += weights[k] * from[k];
            out[(ptrdiff_t)j * width + i] = value;
        }
    }
}

/* Scales so that the outer edges meet, not the centres of the border pixels. */
static struct affine edges_meet(int from_width, int from_height, int width, int height) {
    double a = (double)from_width / width, e = (double)from_height / height;
    return (struct affine){.a = a, .c = 0.5 * a - 0.5, .e = e, .f = 0.5 * e - 0.5};
}

void image_resize(const float *from, int from_width, int from_height, float *to, int to_width, int to_height) {
    struct affine map = edges_meet(from_width, from_height, to_width, to_height);
    for (int i = 0; i < 3; i++) {
        struct plane plane = {.data = from + (ptrdiff_t)i * from_width * from_height,
                              .stride = from_width * (ptrdiff_t)sizeof *from,
                              .width = from_width,
                              .height = from_height,
                              .type = SAMPLE_FLOAT,
                              .scale_x = 1,
                              .scale_y = 1};
        scale_plane(&plane, &map, to_width, to_height, to + (ptrdiff_t)i * to_width * to_height);
    }
}

void image_letterbox(const struct frame *frame, int width, int height, float *rgb, struct affine *to_frame) {
    struct pixels pixels = pixels_of(frame);
    int from_width = pixels.planes[0].width, from_height = pixels.planes[0].height;
    double scale = fmin((double)width / from_width, (double)height / from_height);
    int inner_width = CLAMP((int)lround(from_width * scale), 1, width);
    int inner_height = CLAMP((int)lround(from_height * scale), 1, height);
    int left = (width - inner_width) / 2, top = (height - inner_height) / 2;
    struct affine map = edges_meet(from_width, from_height, inner_width, inner_height);
    size_t area = (size_t)width * (size_t)height, inner = (size_t)inner_width * (size_t)inner_height;
    _cleanup_free_ float *scaled = xnew_array(float, 3 * inner);
    for (int i = 0; i < 3; i++)
        scale_plane(&pixels.planes[i], &map, inner_width, inner_height, scaled + i * inner);
    memset(rgb, 0, sizeof *rgb * 3 * area);
    for (int y = 0; y < inner_height; y++) {
        const float *row = scaled + (ptrdiff_t)y * inner_width;
        float *out = rgb + (ptrdiff_t)(top + y) * width + left;
        pixels_to_rgb(&pixels, row, row + inner, row + 2 * inner, inner_width, out, out + area, out + 2 * area);
    }
    map.c -= map.a * left;
    map.f -= map.e * top;
    *to_frame = map;
}

/* --- blending --- */

struct blend {
    struct pixels pixels;
    AVFrame *picture;
    struct affine to_crop;
    struct plane mask, patch[3];
    int side;                 /* samples of the patch a side for each pixel of the frame */
    int left, right;          /* columns of the frame, right not included */
    float *weight, *color[3]; /* of one row */
    float *sum[3], *scratch;  /* of a row of chroma samples: mask, mask * Cb, mask * Cr */
};

/* The mask under a row, 0 outside the crop. Narrows *first and *last to where it is not 0; false when it is
 * nowhere. */
static bool weigh_row(struct blend *blend, int y, int *first, int *last) {
    const struct affine *map = &blend->to_crop;
    int count = blend->right - blend->left;
    float size = (float)blend->mask.width, *weight = blend->weight;
    map_row(&blend->mask, map, blend->left, y, blend->side, count, weight, blend->scratch);
    float u = (float)(map->a * blend->left + map->b * y + map->c),
          v = (float)(map->d * blend->left + map->e * y + map->f);
    float du = (float)map->a, dv = (float)map->d;
    for (int i = 0; i < count; i++) {
        float at_u = u + (float)i * du + 0.5f, at_v = v + (float)i * dv + 0.5f;
        weight[i] = at_u >= 0 && at_u <= size && at_v >= 0 && at_v <= size ? weight[i] : 0;
    }
    for (*first = 0; *first < count && weight[*first] <= 0;)
        ++*first;
    for (*last = count; *last > *first && weight[*last - 1] <= 0;)
        --*last;
    return *first < *last;
}

/* Rounds to the nearest sample value; where the weight is 0 the old value comes out bit for bit. */
#define BLEND_ROW(type)                                                                                                \
    static void blend_row_##type(type *restrict row, const float *restrict weight, const float *restrict value,        \
                                 int count, float highest) {                                                           \
        for (int i = 0; i < count; i++) {                                                                              \
            float mixed = (float)row[i] + weight[i] * (value[i] - (float)row[i]) + 0.5f;                               \
            mixed = mixed > 0 ? mixed : 0;                                                                             \
            mixed = mixed < highest ? mixed : highest;                                                                 \
            row[i] = weight[i] > 0 ? (type)(int)mixed : row[i];                                                        \
        }                                                                                                              \
    }
BLEND_ROW(uint8_t)
BLEND_ROW(uint16_t)

static void blend_plane_row(struct blend *blend, int plane, int y, int first, const float *weight, const float *value,
                            int count) {
    uint8_t *row = blend->picture->data[plane] + y * (ptrdiff_t)blend->picture->linesize[plane];
    float highest = (float)blend->pixels.highest;
    if (blend->pixels.planes[0].type == SAMPLE_8)
        blend_row_uint8_t(row + first, weight, value, count, highest);
    else
        blend_row_uint16_t((uint16_t *)row + first, weight, value, count, highest);
}

/* Blends the luma of one row and adds its chroma to the sums. */
static void blend_luma(struct blend *blend, int y) {
    int first, last;
    if (!weigh_row(blend, y, &first, &last))
        return;
    int count = last - first, x = blend->left + first;
    float *weight = blend->weight + first;
    for (int i = 0; i < 3; i++)
        map_row(&blend->patch[i], &blend->to_crop, x, y, blend->side, count, blend->color[i], blend->scratch);
    pixels_from_rgb(&blend->pixels, blend->color[0], blend->color[1], blend->color[2], count);
    blend_plane_row(blend, 0, y, x, weight, blend->color[0], count);
    for (int i = 0; i < count; i++) {
        int cell = ((x + i) >> blend->pixels.shift_x) - (blend->left >> blend->pixels.shift_x);
        blend->sum[0][cell] += weight[i];
        blend->sum[1][cell] += weight[i] * (weight[i] > 0 ? blend->color[1][i] : 0);
        blend->sum[2][cell] += weight[i] * (weight[i] > 0 ? blend->color[2][i] : 0);
    }
}

/* A chroma sample gets the mean mask of its luma pixels, and their mean colour as far as the mask shows it.
 */
static void blend_chroma(struct blend *blend, int y, int lines) {
    int shift = blend->pixels.shift_x, first = blend->left >> shift, count = ((blend->right - 1) >> shift) - first + 1;
    int width = blend->pixels.planes[0].width;
    for (int i = 0; i < count; i++) {
        int columns = MIN(1 << shift, width - ((first + i) << shift));
        float total = blend->sum[0][i], inverse = total > 0 ? 1 / total : 0;
        blend->sum[0][i] = total / (float)(lines * columns);
        blend->sum[1][i] *= inverse;
        blend->sum[2][i] *= inverse;
    }
    for (int i = 1; i < 3; i++)
        blend_plane_row(blend, i, y, first, blend->sum[0], blend->sum[i], count);
}

/* The columns and rows of the mask that are not all 0, with one more around them, which interpolation reaches. */
static void mask_corners(const float *mask, int size, struct point corners[4]) {
    int left = size, right = -1, top = size, bottom = -1;
    for (int v = 0; v < size; v++)
        for (int u = 0; u < size; u++)
            if (mask[v * size + u] > 0) {
                left = MIN(left, u);
                right = MAX(right, u);
                top = MIN(top, v);
                bottom = v;
            }
    float low_u = (float)left - 1, high_u = (float)right + 1, low_v = (float)top - 1, high_v = (float)bottom + 1;
    const struct point found[] = {{low_u, low_v}, {high_u, low_v}, {low_u, high_v}, {high_u, high_v}};
    memcpy(corners, found, sizeof found);
}

/* The frame's rows and columns that the mask covers, whole chroma samples; false when there are none. */
static bool find_box(struct blend *blend, const struct affine *crop_to_frame, const float *mask, int size, int *top,
                     int *bottom) {
    struct point corners[4];
    mask_corners(mask, size, corners);
    if (corners[0].x > corners[3].x)
        return false; /* nowhere */
    float left = INFINITY, right = -INFINITY, upper = INFINITY, lower = -INFINITY;
    for (size_t i = 0; i < ARRAY_LENGTH(corners); i++) {
        struct point p = affine_apply(crop_to_frame, corners[i]);
        left = fminf(left, p.x);
        right = fmaxf(right, p.x);
        upper = fminf(upper, p.y);
        lower = fmaxf(lower, p.y);
    }
    int width = blend->picture->width, height = blend->picture->height;
    int cell_x = (1 << blend->pixels.shift_x) - 1, cell_y = (1 << blend->pixels.shift_y) - 1;
    blend->left = (int)CLAMP(floorf(left), 0, (float)width) & ~cell_x;
    blend->right = MIN(((int)CLAMP(ceilf(right) + 1, 0, (float)width) + cell_x) & ~cell_x, width);
    *top = (int)CLAMP(floorf(upper), 0, (float)height) & ~cell_y;
    *bottom = (int)CLAMP(ceilf(lower) + 1, 0, (float)height);
    return blend->left < blend->right && *top < *bottom;
}

static struct plane crop_plane(const float *values, int size) {
    return (struct plane){.data = values,
                          .stride = size * (ptrdiff_t)sizeof *values,
                          .width = size,
                          .height = size,
                          .type = SAMPLE_FLOAT,
                          .scale_x = 1,
                          .scale_y = 1};
}

void image_blend(struct frame *frame, const struct affine *crop_to_frame, int size, const float *rgb,
                 const float *mask) {
    struct blend blend = {.pixels = pixels_of(frame),
                          .picture = frame->picture,
                          .to_crop = affine_inverse(*crop_to_frame),
                          .mask = crop_plane(mask, size)};
    int top, bottom;
    if (!find_box(&blend, crop_to_frame, mask, size, &top, &bottom))
        return;
    blend.side = samples_a_side(&blend.to_crop);
    size_t width = (size_t)(blend.right - blend.left);
    _cleanup_free_ float *rows = xnew_array(float, 8 * width);
    float **const parts[] = {&blend.weight, &blend.color[0], &blend.color[1], &blend.color[2],
                             &blend.sum[0], &blend.sum[1],   &blend.sum[2],   &blend.scratch};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        *parts[i] = rows + i * width;
    for (int i = 0; i < 3; i++)
        blend.patch[i] = crop_plane(rgb + (ptrdiff_t)i * size * size, size);
    int cell = 1 << blend.pixels.shift_y;
    for (int y = top; y < bottom; y += cell) {
        int lines = MIN(cell, frame->picture->height - y);
        for (int i = 0; i < 3; i++)
            memset(blend.sum[i], 0, sizeof *rows * width);
        for (int line = 0; line < lines; line++)
            blend_luma(&blend, y + line);
        blend_chroma(&blend, y >> blend.pixels.shift_y, lines);
    }
}
