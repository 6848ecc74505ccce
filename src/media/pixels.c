#include "media/pixels.h"

#include <libavutil/pixdesc.h>

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

static inline float load(const void *row, int x, enum sample_type type) {
    return type == SAMPLE_8    ? (float)((const uint8_t *)row)[x]
           : type == SAMPLE_16 ? (float)((const uint16_t *)row)[x]
                               : ((const float *)row)[x];
}

/* Inlined once for each type and for rows inside and outside the plane, so that the loops hold no branches.
 */
static inline __attribute__((always_inline)) void sample_row(const struct plane *plane, float x, float y, float dx,
                                                             float dy, int count, float *restrict out,
                                                             enum sample_type type, bool clamp) {
    int right = plane->width - 1, bottom = plane->height - 1;
    for (int i = 0; i < count; i++) {
        float px = x + (float)i * dx, py = y + (float)i * dy;
        if (clamp) {
            px = CLAMP(px, 0, (float)right);
            py = CLAMP(py, 0, (float)bottom);
        }
        int column = (int)px, line = (int)py;
        int next = clamp ? MIN(column + 1, right) : column + 1;
        const char *upper = (const char *)plane->data + line * plane->stride;
        const char *lower = clamp && line == bottom ? upper : upper + plane->stride;
        float fx = px - (float)column, fy = py - (float)line;
        float a = load(upper, column, type), b = load(upper, next, type);
        float c = load(lower, column, type), d = load(lower, next, type);
        float above = a + fx * (b - a), below = c + fx * (d - c);
        out[i] = above + fy * (below - above);
    }
}

static bool is_inside(const struct plane *plane, double x, double y) {
    /* A little less than the last sample, since positions are rounded to float. */
    return x >= 0.01 && y >= 0.01 && x <= plane->width - 1.01 && y <= plane->height - 1.01;
}

void plane_sample_row(const struct plane *plane, double x, double y, double dx, double dy, int count, float *out) {
    double px = (x - plane->offset_x) * plane->scale_x, py = (y - plane->offset_y) * plane->scale_y;
    double step_x = dx * plane->scale_x, step_y = dy * plane->scale_y;
    bool clamp = !is_inside(plane, px, py) || !is_inside(plane, px + (count - 1) * step_x, py + (count - 1) * step_y);
    float fx = (float)px, fy = (float)py, fdx = (float)step_x, fdy = (float)step_y;
    switch (plane->type * 2 + clamp) {
    case SAMPLE_8 * 2:
        sample_row(plane, fx, fy, fdx, fdy, count, out, SAMPLE_8, false);
        break;
    case SAMPLE_8 * 2 + 1:
        sample_row(plane, fx, fy, fdx, fdy, count, out, SAMPLE_8, true);
        break;
    case SAMPLE_16 * 2:
        sample_row(plane, fx, fy, fdx, fdy, count, out, SAMPLE_16, false);
        break;
    case SAMPLE_16 * 2 + 1:
        sample_row(plane, fx, fy, fdx, fdy, count, out, SAMPLE_16, true);
        break;
    case SAMPLE_FLOAT * 2:
        sample_row(plane, fx, fy, fdx, fdy, count, out, SAMPLE_FLOAT, false);
        break;
    default:
        sample_row(plane, fx, fy, fdx, fdy, count, out, SAMPLE_FLOAT, true);
    }
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
