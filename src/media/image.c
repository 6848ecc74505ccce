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

/* Frame pixels that one step of the map spans along the frame's x and y. */
static double shrink_x(const struct affine *map) { return hypot(map->a, map->b); }
static double shrink_y(const struct affine *map) { return hypot(map->d, map->e); }

/* The box of the frame that the pixels 0 to size - 1 of a crop lie in. */
static struct box box_of(const struct affine *map, int size) {
    struct box box = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        struct point corner = {(float)(i % 2 * (size - 1)), (float)(i / 2 * (size - 1))};
        struct point p = affine_apply(map, corner);
        box.left = fmin(box.left, p.x);
        box.right = fmax(box.right, p.x);
        box.top = fmin(box.top, p.y);
        box.bottom = fmax(box.bottom, p.y);
    }
    return box;
}

void image_crop(const struct frame *frame, const struct affine *crop_to_frame, int size, float *rgb) {
    const struct affine *map = crop_to_frame;
    struct pixels pixels = pixels_of(frame);
    struct box box = box_of(map, size);
    size_t area = (size_t)size * (size_t)size;
    struct plane planes[3];
    float *shrunk[3];
    for (int i = 0; i < 3; i++)
        planes[i] = plane_shrink(&pixels.planes[i], &box, shrink_x(map), shrink_y(map), &shrunk[i]);
    _cleanup_free_ float *rows = xnew_array(float, 3 * (size_t)size);
    for (int v = 0; v < size; v++) {
        for (int i = 0; i < 3; i++)
            plane_sample_row(&planes[i], map->b * v + map->c, map->e * v + map->f, map->a, map->d, size,
                             rows + i * size);
        float *out = rgb + (size_t)v * (size_t)size;
        pixels_to_rgb(&pixels, rows, rows + size, rows + 2 * size, size, out, out + area, out + 2 * area);
    }
    for (int i = 0; i < 3; i++)
        free(shrunk[i]);
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
                plane_add_row(plane, lines.first[j] + k, 0, plane->width, lines.weights[j * lines.most + k], sum);
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

/* The patch as the frame sees it: in the frame's colours, each plane no finer than the frame's own. */
struct blend {
    struct pixels pixels;
    AVFrame *picture;
    struct affine to_crop;
    int size;
    struct plane mask, patch[3];
    float *shrunk[4];             /* the samples of those four, to be freed; NULL where nothing was shrunk */
    int left, right;              /* columns of the frame, right not included */
    float *weight, *value, *cell; /* of one row; cell: the mask summed up for each chroma sample */
};

/* The mask under a row, 0 outside the crop. Narrows *first and *last to where it is not 0; false when it is
 * nowhere. */
static bool weigh_row(struct blend *blend, int y, int *first, int *last) {
    const struct affine *map = &blend->to_crop;
    int count = blend->right - blend->left;
    float size = (float)blend->size, *weight = blend->weight;
    double row_u = map->a * blend->left + map->b * y + map->c, row_v = map->d * blend->left + map->e * y + map->f;
    plane_sample_row(&blend->mask, row_u, row_v, map->a, map->d, count, weight);
    float u = (float)row_u, v = (float)row_v, du = (float)map->a, dv = (float)map->d;
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

/* Samples a plane of the patch for `count` samples of the frame, `step` pixels apart. */
static void sample_patch(struct blend *blend, int plane, double x, double y, int step, int count) {
    const struct affine *map = &blend->to_crop;
    plane_sample_row(&blend->patch[plane], map->a * x + map->b * y + map->c, map->d * x + map->e * y + map->f,
                     map->a * step, map->d * step, count, blend->value);
}

/* Blends the luma of one row and adds its mask to the cells. */
static void blend_luma(struct blend *blend, int y) {
    int first, last;
    if (!weigh_row(blend, y, &first, &last))
        return;
    int count = last - first, x = blend->left + first, shift = blend->pixels.shift_x;
    const float *weight = blend->weight + first;
    sample_patch(blend, 0, x, y, 1, count);
    blend_plane_row(blend, 0, y, x, weight, blend->value, count);
    for (int i = 0; i < count; i++)
        blend->cell[((x + i) >> shift) - (blend->left >> shift)] += weight[i];
}

/* A chroma sample gets the mean mask of its luma pixels, and the patch's colour where it lies. */
static void blend_chroma(struct blend *blend, int y, int lines) {
    const struct pixels *pixels = &blend->pixels;
    int shift = pixels->shift_x, first = blend->left >> shift, count = ((blend->right - 1) >> shift) - first + 1;
    for (int i = 0; i < count; i++)
        blend->cell[i] /= (float)(lines * MIN(1 << shift, pixels->planes[0].width - ((first + i) << shift)));
    for (int i = 1; i < 3; i++) {
        const struct plane *plane = &pixels->planes[i];
        sample_patch(blend, i, (first << shift) + plane->offset_x, (y << pixels->shift_y) + plane->offset_y, 1 << shift,
                     count);
        blend_plane_row(blend, i, y, first, blend->cell, blend->value, count);
    }
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

/* The mask and the patch, whose colours are converted in place, as planes no finer than those they go into. */
static void set_planes(struct blend *blend, const float *mask, float *patch) {
    int size = blend->size, area = size * size;
    const struct affine *map = &blend->to_crop;
    struct box whole = {0, 0, size, size};
    pixels_from_rgb(&blend->pixels, patch, patch + area, patch + 2 * area, area);
    for (int i = 0; i < 4; i++) {
        struct plane plane = crop_plane(i < 3 ? patch + i * area : mask, size);
        int x = 1 << (i % 3 ? blend->pixels.shift_x : 0), y = 1 << (i % 3 ? blend->pixels.shift_y : 0);
        *(i < 3 ? &blend->patch[i] : &blend->mask) = plane_shrink(&plane, &whole, hypot(map->a * x, map->b * y),
                                                                  hypot(map->d * x, map->e * y), &blend->shrunk[i]);
    }
}

static void blend_rows(struct blend *blend, int top, int bottom) {
    size_t width = (size_t)(blend->right - blend->left);
    _cleanup_free_ float *rows = xnew_array(float, 3 * width);
    blend->weight = rows;
    blend->value = rows + width;
    blend->cell = rows + 2 * width;
    int cell = 1 << blend->pixels.shift_y;
    for (int y = top; y < bottom; y += cell) {
        int lines = MIN(cell, blend->picture->height - y);
        memset(blend->cell, 0, sizeof *rows * width);
        for (int line = 0; line < lines; line++)
            blend_luma(blend, y + line);
        blend_chroma(blend, y >> blend->pixels.shift_y, lines);
    }
}

void image_blend(struct frame *frame, const struct affine *crop_to_frame, int size, const float *rgb,
                 const float *mask) {
    struct blend blend = {
        .pixels = pixels_of(frame), .picture = frame->picture, .to_crop = affine_inverse(*crop_to_frame), .size = size};
    int top, bottom;
    if (!find_box(&blend, crop_to_frame, mask, size, &top, &bottom))
        return;
    size_t values = 3 * (size_t)size * (size_t)size;
    _cleanup_free_ float *patch = xnew_array(float, values);
    memcpy(patch, rgb, values * sizeof *patch);
    set_planes(&blend, mask, patch);
    blend_rows(&blend, top, bottom);
    for (size_t i = 0; i < ARRAY_LENGTH(blend.shrunk); i++)
        free(blend.shrunk[i]);
}
