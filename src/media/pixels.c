#include "media/pixels.h"

#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/ffmpeg.h"

/* Luma weights: ITU-T H.273 table 4. Untagged video is BT.709 when it is high definition, else BT.601. */
static void set_matrix(struct pixels *pixels, const AVFrame *picture) {
    int space = picture->colorspace;
    if (space == AVCOL_SPC_UNSPECIFIED || space == AVCOL_SPC_RGB || space == AVCOL_SPC_RESERVED)
        space = picture->height > 576 || picture->width > 1024 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    switch (space) {
    case AVCOL_SPC_SMPTE170M:
    case AVCOL_SPC_BT470BG:
        pixels->kr = 0.299f, pixels->kb = 0.114f;
        break;
    case AVCOL_SPC_FCC:
        pixels->kr = 0.30f, pixels->kb = 0.11f;
        break;
    case AVCOL_SPC_SMPTE240M:
        pixels->kr = 0.212f, pixels->kb = 0.087f;
        break;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        pixels->kr = 0.2627f, pixels->kb = 0.0593f;
        break;
    default:
        pixels->kr = 0.2126f, pixels->kb = 0.0722f;
    }
    pixels->kg = 1 - pixels->kr - pixels->kb;
}

/* Code values: ITU-T H.273 8.3. */
static void set_range(struct pixels *pixels, const AVFrame *picture, int depth) {
    bool full = picture->color_range == AVCOL_RANGE_JPEG;
    float unit = (float)(1 << (depth - 8));
    pixels->highest = (1 << depth) - 1;
    pixels->luma_zero = full ? 0 : 16 * unit;
    pixels->luma_range = full ? (float)pixels->highest : 219 * unit;
    pixels->chroma_zero = 128 * unit;
    pixels->chroma_range = full ? (float)pixels->highest : 224 * unit;
}

/* Where the first chroma sample sits, in luma pixels; untagged video has it at the left (MPEG-2, H.264). */
static void set_siting(struct plane *plane, const AVFrame *picture, int shift_x, int shift_y) {
    int location = picture->chroma_location;
    bool middle = location == AVCHROMA_LOC_CENTER || location == AVCHROMA_LOC_TOP || location == AVCHROMA_LOC_BOTTOM;
    bool top = location == AVCHROMA_LOC_TOPLEFT || location == AVCHROMA_LOC_TOP;
    bool bottom = location == AVCHROMA_LOC_BOTTOMLEFT || location == AVCHROMA_LOC_BOTTOM;
    plane->offset_x = shift_x && middle ? 0.5f : 0;
    plane->offset_y = !shift_y || top ? 0 : bottom ? 1 : 0.5f;
}

struct pixels pixels_of(const struct frame *frame) {
    const AVFrame *picture = frame->picture;
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(picture->format);
    struct pixels pixels = {.shift_x = description->log2_chroma_w, .shift_y = description->log2_chroma_h};
    for (int i = 0; i < 3; i++) {
        int shift_x = i ? pixels.shift_x : 0, shift_y = i ? pixels.shift_y : 0;
        struct plane *plane = &pixels.planes[i];
        *plane = (struct plane){
            .data = picture->data[i],
            .stride = picture->linesize[i],
            .width = AV_CEIL_RSHIFT(picture->width, shift_x),
            .height = AV_CEIL_RSHIFT(picture->height, shift_y),
            .type = description->comp[0].depth > 8 ? SAMPLE_16 : SAMPLE_8,
            .scale_x = 1.0f / (float)(1 << shift_x),
            .scale_y = 1.0f / (float)(1 << shift_y),
        };
        if (i)
            set_siting(plane, picture, shift_x, shift_y);
    }
    set_matrix(&pixels, picture);
    set_range(&pixels, picture, description->comp[0].depth);
    return pixels;
}

enum { SAMPLES_AT_ONCE = 64 };

/* Where a stretch of a row is sampled: the upper left one of the four samples around each point, and how far the point
 * is from it. */
struct places {
    int at[SAMPLES_AT_ONCE];
    float fx[SAMPLES_AT_ONCE], fy[SAMPLES_AT_ONCE];
};

/* A point on the last row or column lies at the end of the samples before it, so that all four are in the plane. */
static void find_places(const struct plane *plane, int stride, float x, float y, float dx, float dy, int first,
                        int count, struct places *restrict places) {
    float right = (float)(plane->width - 1), bottom = (float)(plane->height - 1);
    int last_column = MAX(plane->width - 2, 0), last_line = MAX(plane->height - 2, 0);
    for (int i = 0; i < count; i++) {
        float px = x + (float)(first + i) * dx, py = y + (float)(first + i) * dy;
        px = px > 0 ? px : 0;
        px = px < right ? px : right;
        py = py > 0 ? py : 0;
        py = py < bottom ? py : bottom;
        int column = (int)px, line = (int)py;
        column = MIN(column, last_column);
        line = MIN(line, last_line);
        places->at[i] = line * stride + column;
        places->fx[i] = px - (float)column;
        places->fy[i] = py - (float)line;
    }
}

/* The loads cannot be vectorised, the arithmetic before and after them can: apart they are three times as fast as in
 * one loop. */
#define SAMPLE_ROW(type, loaded)                                                                                       \
    static void interpolate_##type(const type *restrict samples, int next, int below,                                  \
                                   const struct places *restrict places, int count, float *restrict out) {             \
        loaded a[SAMPLES_AT_ONCE], b[SAMPLES_AT_ONCE], c[SAMPLES_AT_ONCE], d[SAMPLES_AT_ONCE];                         \
        for (int i = 0; i < count; i++) {                                                                              \
            const type *from = samples + places->at[i];                                                                \
            a[i] = from[0];                                                                                            \
            b[i] = from[next];                                                                                         \
            c[i] = from[below];                                                                                        \
            d[i] = from[below + next];                                                                                 \
        }                                                                                                              \
        for (int i = 0; i < count; i++) {                                                                              \
            float above = (float)a[i] + places->fx[i] * (float)(b[i] - a[i]);                                          \
            float under = (float)c[i] + places->fx[i] * (float)(d[i] - c[i]);                                          \
            out[i] = above + places->fy[i] * (under - above);                                                          \
        }                                                                                                              \
    }
SAMPLE_ROW(uint8_t, int)
SAMPLE_ROW(uint16_t, int)
SAMPLE_ROW(float, float)

void plane_sample_row(const struct plane *plane, double x, double y, double dx, double dy, int count, float *out) {
    static const int sizes[] = {
        [SAMPLE_8] = sizeof(uint8_t), [SAMPLE_16] = sizeof(uint16_t), [SAMPLE_FLOAT] = sizeof(float)};
    int stride = (int)(plane->stride / sizes[plane->type]);
    int next = plane->width > 1, below = plane->height > 1 ? stride : 0;
    float px = (float)((x - plane->offset_x) * plane->scale_x), py = (float)((y - plane->offset_y) * plane->scale_y);
    float step_x = (float)(dx * plane->scale_x), step_y = (float)(dy * plane->scale_y);
    for (int first = 0; first < count; first += SAMPLES_AT_ONCE) {
        struct places places;
        int some = MIN(count - first, SAMPLES_AT_ONCE);
        find_places(plane, stride, px, py, step_x, step_y, first, some, &places);
        if (plane->type == SAMPLE_8)
            interpolate_uint8_t(plane->data, next, below, &places, some, out + first);
        else if (plane->type == SAMPLE_16)
            interpolate_uint16_t(plane->data, next, below, &places, some, out + first);
        else
            interpolate_float(plane->data, next, below, &places, some, out + first);
    }
}

void plane_add_row(const struct plane *plane, int line, int first, int count, float weight, float *restrict sum) {
    const char *row = (const char *)plane->data + line * plane->stride;
    const uint8_t *restrict bytes = (const uint8_t *)row + first;
    const uint16_t *restrict words = (const uint16_t *)row + first;
    const float *restrict floats = (const float *)row + first;
    if (plane->type == SAMPLE_8)
        for (int i = 0; i < count; i++)
            sum[i] += weight * (float)bytes[i];
    else if (plane->type == SAMPLE_16)
        for (int i = 0; i < count; i++)
            sum[i] += weight * (float)words[i];
    else
        for (int i = 0; i < count; i++)
            sum[i] += weight * floats[i];
}

/* A stretch of rows or columns in blocks; the last one may be cut off by the plane's border. */
struct blocks {
    int first, end, each, count;
};

/* Those that cover [low, high] of a plane's rows or columns and one more on either side. */
static struct blocks blocks_over(double low, double high, int each, int size) {
    struct blocks blocks = {.each = each, .first = (int)CLAMP(floor(low) - each, 0, size - 1)};
    blocks.end = (int)CLAMP(ceil(high) + 2 * each, blocks.first + 1, size);
    blocks.count = (blocks.end - blocks.first + each - 1) / each;
    return blocks;
}

/* The means of a row of blocks; `sum` has room for their columns. */
static void average_row(const struct plane *plane, const struct blocks *columns, int line, int lines, float *sum,
                        float *restrict out) {
    int width = columns->end - columns->first;
    memset(sum, 0, sizeof *sum * (size_t)width);
    for (int i = 0; i < lines; i++)
        plane_add_row(plane, line + i, columns->first, width, 1, sum);
    for (int i = 0; i < columns->count; i++) {
        int from = i * columns->each, count = MIN(columns->each, width - from);
        float total = 0;
        for (int k = 0; k < count; k++)
            total += sum[from + k];
        out[i] = total / (float)(count * lines);
    }
}

struct plane plane_shrink(const struct plane *plane, const struct box *box, double shrink_x, double shrink_y,
                          float **samples) {
    /* A face's points can lie anywhere: a map may shrink by more than an int holds, or by NaN. */
    int each_x = (int)CLAMP(shrink_x * plane->scale_x, 1, plane->width);
    int each_y = (int)CLAMP(shrink_y * plane->scale_y, 1, plane->height);
    *samples = NULL;
    if (each_x == 1 && each_y == 1)
        return *plane;
    struct blocks columns = blocks_over((box->left - plane->offset_x) * plane->scale_x,
                                        (box->right - plane->offset_x) * plane->scale_x, each_x, plane->width);
    struct blocks lines = blocks_over((box->top - plane->offset_y) * plane->scale_y,
                                      (box->bottom - plane->offset_y) * plane->scale_y, each_y, plane->height);
    *samples = xnew_array(float, (size_t)columns.count *(size_t)lines.count);
    _cleanup_free_ float *sum = xnew_array(float, (size_t)(columns.end - columns.first));
    for (int j = 0; j < lines.count; j++) {
        int line = lines.first + j * each_y;
        average_row(plane, &columns, line, MIN(each_y, lines.end - line), sum, *samples + (ptrdiff_t)j * columns.count);
    }
    /* A block's mean lies in its middle. */
    float middle_x = (float)columns.first + 0.5f * (float)(each_x - 1);
    float middle_y = (float)lines.first + 0.5f * (float)(each_y - 1);
    return (struct plane){.data = *samples,
                          .stride = columns.count * (ptrdiff_t)sizeof **samples,
                          .width = columns.count,
                          .height = lines.count,
                          .type = SAMPLE_FLOAT,
                          .scale_x = plane->scale_x / (float)each_x,
                          .scale_y = plane->scale_y / (float)each_y,
                          .offset_x = plane->offset_x + middle_x / plane->scale_x,
                          .offset_y = plane->offset_y + middle_y / plane->scale_y};
}

static inline float unit_clamp(float value) {
    value = value > 0 ? value : 0;
    return value < 1 ? value : 1;
}

void pixels_to_rgb(const struct pixels *pixels, const float *restrict y, const float *restrict cb,
                   const float *restrict cr, int count, float *restrict r, float *restrict g, float *restrict b) {
    float luma_scale = 1 / pixels->luma_range, chroma_scale = 1 / pixels->chroma_range;
    float luma_zero = pixels->luma_zero, chroma_zero = pixels->chroma_zero;
    float red = 2 * (1 - pixels->kr), blue = 2 * (1 - pixels->kb);
    float green_red = -red * pixels->kr / pixels->kg, green_blue = -blue * pixels->kb / pixels->kg;
    for (int i = 0; i < count; i++) {
        float luma = (y[i] - luma_zero) * luma_scale;
        float u = (cb[i] - chroma_zero) * chroma_scale, v = (cr[i] - chroma_zero) * chroma_scale;
        r[i] = unit_clamp(luma + red * v);
        g[i] = unit_clamp(luma + green_red * v + green_blue * u);
        b[i] = unit_clamp(luma + blue * u);
    }
}

void pixels_from_rgb(const struct pixels *pixels, float *restrict r, float *restrict g, float *restrict b, int count) {
    float kr = pixels->kr, kg = pixels->kg, kb = pixels->kb;
    float luma_zero = pixels->luma_zero, luma_range = pixels->luma_range, chroma_zero = pixels->chroma_zero;
    float blue = pixels->chroma_range / (2 * (1 - kb)), red = pixels->chroma_range / (2 * (1 - kr));
    for (int i = 0; i < count; i++) {
        float luma = kr * r[i] + kg * g[i] + kb * b[i];
        float cb = chroma_zero + (b[i] - luma) * blue, cr = chroma_zero + (r[i] - luma) * red;
        r[i] = luma_zero + luma * luma_range;
        g[i] = cb;
        b[i] = cr;
    }
}
