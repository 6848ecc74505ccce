#include "test.h"

#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/image.h"
#include "media/media.h"

static const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUV420P,   AV_PIX_FMT_YUV422P,   AV_PIX_FMT_YUV444P,
                                             AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV444P10};

static struct frame *new_frame(enum AVPixelFormat format, int width, int height) {
    struct frame *frame = xnew(struct frame);
    frame->picture = av_frame_alloc();
    frame->picture->format = format;
    frame->picture->width = width;
    frame->picture->height = height;
    assert_int_equal(av_frame_get_buffer(frame->picture, 0), 0);
    return frame;
}

static int depth_of(const AVFrame *picture) { return av_pix_fmt_desc_get(picture->format)->comp[0].depth; }

static int plane_width(const AVFrame *picture, int plane) {
    int shift = plane ? av_pix_fmt_desc_get(picture->format)->log2_chroma_w : 0;
    return AV_CEIL_RSHIFT(picture->width, shift);
}

static int plane_height(const AVFrame *picture, int plane) {
    int shift = plane ? av_pix_fmt_desc_get(picture->format)->log2_chroma_h : 0;
    return AV_CEIL_RSHIFT(picture->height, shift);
}

static int get(const AVFrame *picture, int plane, int x, int y) {
    const uint8_t *row = picture->data[plane] + (ptrdiff_t)y * picture->linesize[plane];
    return depth_of(picture) > 8 ? ((const uint16_t *)row)[x] : row[x];
}

static void put(AVFrame *picture, int plane, int x, int y, int value) {
    uint8_t *row = picture->data[plane] + (ptrdiff_t)y * picture->linesize[plane];
    if (depth_of(picture) > 8)
        ((uint16_t *)row)[x] = (uint16_t)value;
    else
        row[x] = (uint8_t)value;
}

static void fill(AVFrame *picture, int (*value)(const AVFrame *picture, int plane, int x, int y)) {
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < plane_height(picture, plane); y++)
            for (int x = 0; x < plane_width(picture, plane); x++)
                put(picture, plane, x, y, value(picture, plane, x, y));
}

static int noise(const AVFrame *picture, int plane, int x, int y) { return rand() & ((1 << depth_of(picture)) - 1); }

/* A smooth picture: what a crop and a blend of the same pixels must give back. */
static int waves(const AVFrame *picture, int plane, int x, int y) {
    double px = x * (double)picture->width / plane_width(picture, plane);
    double py = y * (double)picture->height / plane_height(picture, plane);
    double value = plane == 0 ? 120 + 40 * sin(px / 9) * cos(py / 7) : 128 + 12 * sin(px / 17 + plane) * cos(py / 19);
    return (int)lround(value * (1 << (depth_of(picture) - 8)));
}

/* Rotated by 20 degrees, `scale` frame pixels a crop pixel, its corner at (x, y). */
static struct affine tilted(double scale, double x, double y) {
    return (struct affine){scale * cos(0.35), -scale * sin(0.35), x, scale * sin(0.35), scale * cos(0.35), y};
}

static void test_affine(void **state) {
    struct affine m = tilted(1.7, 30, -4);
    struct point from[] = {{0, 0}, {10, 2}, {3, 9}, {-4, 5}}, to[4];
    for (int i = 0; i < 4; i++)
        to[i] = affine_apply(&m, from[i]);
    struct affine found = affine_similarity(from, to, 4), back = affine_inverse(found);
    for (int i = 0; i < 4; i++) {
        struct point p = affine_apply(&back, to[i]);
        assert_float_equal(p.x, from[i].x, 1e-4);
        assert_float_equal(p.y, from[i].y, 1e-4);
    }
    struct point same[] = {{5, 5}, {5, 5}};
    found = affine_similarity(same, to, 2);
    assert_float_equal(found.a, 1, 1e-9);
}

/* Reference values: ITU-T H.273's equations for (0.8, 0.4, 0.1) worked out with these weights. */
static void check_color(enum AVPixelFormat format, int space, int range, double kr, double kb) {
    const double r = 0.8, g = 0.4, b = 0.1, y = kr * r + (1 - kr - kb) * g + kb * b;
    double cb = (b - y) / (2 * (1 - kb)), cr = (r - y) / (2 * (1 - kr));
    _cleanup_frame_ struct frame *frame = new_frame(format, 33, 21);
    AVFrame *picture = frame->picture;
    picture->colorspace = space;
    picture->color_range = range;
    int depth = depth_of(picture), unit = 1 << (depth - 8), highest = (1 << depth) - 1;
    bool full = range == AVCOL_RANGE_JPEG;
    for (int plane = 0; plane < 3; plane++) {
        double value = plane == 0 ? (full ? y * highest : unit * (16 + 219 * y))
                                  : unit * 128 + (plane == 1 ? cb : cr) * (full ? highest : 224 * unit);
        for (int i = 0; i < plane_width(picture, plane) * plane_height(picture, plane); i++)
            put(picture, plane, i % plane_width(picture, plane), i / plane_width(picture, plane), (int)lround(value));
    }
    float rgb[3 * 12 * 12];
    image_crop(frame, &(struct affine){.a = 1.5, .c = 3, .e = 1.5, .f = 2}, 12, rgb);
    for (int i = 0; i < 144; i++) {
        assert_float_equal(rgb[i], r, 0.012);
        assert_float_equal(rgb[144 + i], g, 0.012);
        assert_float_equal(rgb[288 + i], b, 0.012);
    }
}

static void test_colors(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
        for (int range = AVCOL_RANGE_MPEG; range <= AVCOL_RANGE_JPEG; range++) {
            check_color(formats[i], AVCOL_SPC_BT709, range, 0.2126, 0.0722);
            check_color(formats[i], AVCOL_SPC_SMPTE170M, range, 0.299, 0.114);
            check_color(formats[i], AVCOL_SPC_BT2020_NCL, range, 0.2627, 0.0593);
            check_color(formats[i], AVCOL_SPC_UNSPECIFIED, range, 0.299, 0.114); /* small: BT.601 */
        }
}

/* A crop that reaches over the border repeats it, and one of a huge area averages it. */
static void test_crop_outside_and_shrinking(void **state) {
    _cleanup_frame_ struct frame *frame = new_frame(AV_PIX_FMT_YUV420P, 64, 64);
    for (int i = 0; i < 64 * 64; i++)
        put(frame->picture, 0, i % 64, i / 64, i % 2 ? 235 : 16);
    for (int i = 0; i < 32 * 32; i++) {
        put(frame->picture, 1, i % 32, i / 32, 128);
        put(frame->picture, 2, i % 32, i / 32, 128);
    }
    float rgb[3 * 8 * 8];
    image_crop(frame, &(struct affine){.a = 1, .c = -100, .e = 1, .f = -100}, 8, rgb);
    assert_float_equal(rgb[0], 0, 1e-5);
    image_crop(frame, &(struct affine){.a = 1, .c = 200, .e = 1, .f = 200}, 8, rgb);
    assert_float_equal(rgb[63], 1, 1e-5);
    image_crop(frame, &(struct affine){.a = 8, .c = 3.5, .e = 8, .f = 3.5}, 8, rgb);
    for (int i = 0; i < 64; i++)
        assert_float_equal(rgb[i], 0.5, 0.07);
}

/* The luma of a shrunk crop is the mean of the pixels under it, tilted or not. */
static void check_shrinking(enum AVPixelFormat format, struct affine m) {
    enum { SIZE = 12, FINE = 16 };
    _cleanup_frame_ struct frame *frame = new_frame(format, 96, 96);
    fill(frame->picture, waves);
    for (int plane = 1; plane < 3; plane++)
        for (int i = 0; i < plane_width(frame->picture, plane) * plane_height(frame->picture, plane); i++)
            put(frame->picture, plane, i % plane_width(frame->picture, plane), i / plane_width(frame->picture, plane),
                128 << (depth_of(frame->picture) - 8));
    static float rgb[3 * SIZE * SIZE];
    image_crop(frame, &m, SIZE, rgb);
    double scale = 219 << (depth_of(frame->picture) - 8), zero = 16 << (depth_of(frame->picture) - 8);
    for (int i = 0; i < SIZE * SIZE; i++) {
        double sum = 0;
        for (int k = 0; k < FINE * FINE; k++) {
            struct point p = {(float)(i % SIZE + (k % FINE + 0.5) / FINE - 0.5),
                              (float)(i / SIZE + (k / FINE + 0.5) / FINE - 0.5)};
            p = affine_apply(&m, p);
            sum += get(frame->picture, 0, CLAMP((int)lroundf(p.x), 0, 95), CLAMP((int)lroundf(p.y), 0, 95));
        }
        assert_float_equal(rgb[i], (sum / (FINE * FINE) - zero) / scale, 0.03);
    }
}

static void test_crop_averages_when_it_shrinks(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        check_shrinking(formats[i], tilted(3.3, 40, 20));
        check_shrinking(formats[i], (struct affine){.a = 2.4, .c = 9, .e = 4.2, .f = 25});
        check_shrinking(formats[i], (struct affine){.a = 6, .c = 12, .e = 6, .f = 12});
    }
}

static void fill_patch(float *rgb, float *mask, int size, float value) {
    for (int i = 0; i < 3 * size * size; i++)
        rgb[i] = (float)rand() / (float)RAND_MAX;
    for (int i = 0; i < size * size; i++)
        mask[i] = value;
}

static AVFrame *keep(const struct frame *frame) {
    AVFrame *copy = av_frame_clone(frame->picture);
    assert_int_equal(av_frame_make_writable(copy), 0);
    return copy;
}

static int count_changes(const AVFrame *a, const AVFrame *b, int plane) {
    int changed = 0;
    for (int y = 0; y < plane_height(a, plane); y++)
        for (int x = 0; x < plane_width(a, plane); x++)
            changed += get(a, plane, x, y) != get(b, plane, x, y);
    return changed;
}

static void test_no_mask_changes_nothing(void **state) {
    enum { SIZE = 24 };
    float rgb[3 * SIZE * SIZE], mask[SIZE * SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        _cleanup_frame_ struct frame *frame = new_frame(formats[i], 77, 53);
        fill(frame->picture, noise);
        AVFrame *before = keep(frame);
        fill_patch(rgb, mask, SIZE, 0);
        rgb[0] = NAN;
        struct affine m = tilted(1.3, 20, 5);
        image_blend(frame, &m, SIZE, rgb, mask);
        image_blend(frame, &(struct affine){.a = 1, .c = 500, .e = 1, .f = 500}, SIZE, rgb, mask);
        for (int plane = 0; plane < 3; plane++)
            assert_int_equal(count_changes(before, frame->picture, plane), 0);
        av_frame_free(&before);
    }
}

/* The mask that the blend must see at a luma pixel, bilinear, 0 outside the crop. */
static double mask_at(const float *mask, int size, const struct affine *to_crop, int x, int y) {
    double u = to_crop->a * x + to_crop->b * y + to_crop->c, v = to_crop->d * x + to_crop->e * y + to_crop->f;
    if (u < -0.5 - 1e-4 || v < -0.5 - 1e-4 || u > size - 0.5 + 1e-4 || v > size - 0.5 + 1e-4)
        return 0;
    double sum = 0;
    for (int i = 0; i < size * size; i++)
        sum += mask[i] * fmax(0, 1 - fabs(CLAMP(u, 0, size - 1) - i % size)) *
               fmax(0, 1 - fabs(CLAMP(v, 0, size - 1) - i / size));
    return sum;
}

static double mask_of_cell(const float *mask, int size, const struct affine *to_crop, const AVFrame *picture, int plane,
                           int x, int y) {
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(picture->format);
    int shift_x = plane ? description->log2_chroma_w : 0, shift_y = plane ? description->log2_chroma_h : 0;
    double sum = 0;
    for (int py = y << shift_y; py < MIN((y + 1) << shift_y, picture->height); py++)
        for (int px = x << shift_x; px < MIN((x + 1) << shift_x, picture->width); px++)
            sum += mask_at(mask, size, to_crop, px, py);
    return sum;
}

static void check_blend_stays_inside(enum AVPixelFormat format, struct affine m) {
    enum { SIZE = 20 };
    float rgb[3 * SIZE * SIZE], mask[SIZE * SIZE];
    _cleanup_frame_ struct frame *frame = new_frame(format, 45, 39);
    fill(frame->picture, noise);
    AVFrame *before = keep(frame);
    fill_patch(rgb, mask, SIZE, 0);
    struct point polygon[] = {{3, 4}, {15, 2}, {17, 14}, {6, 17}};
    image_mask_polygon(polygon, 4, SIZE, 3, mask);
    image_blend(frame, &m, SIZE, rgb, mask);
    struct affine to_crop = affine_inverse(m);
    for (int plane = 0; plane < 3; plane++) {
        assert_true(count_changes(before, frame->picture, plane) > 10);
        for (int y = 0; y < plane_height(before, plane); y++)
            for (int x = 0; x < plane_width(before, plane); x++)
                if (get(before, plane, x, y) != get(frame->picture, plane, x, y))
                    assert_true(mask_of_cell(mask, SIZE, &to_crop, before, plane, x, y) > 0);
    }
    av_frame_free(&before);
}

static void test_blend_touches_only_the_mask(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        check_blend_stays_inside(formats[i], tilted(1.2, 15, 4));
        check_blend_stays_inside(formats[i], tilted(0.8, 35, 20)); /* over the right border */
        check_blend_stays_inside(formats[i], tilted(1, -3, -9));   /* over the upper left corner */
    }
}

/* What was cropped, blended back, is the picture itself but for rounding, wherever its chroma lies. */
static void test_crop_and_blend_back(void **state) {
    enum { SIZE = 40 };
    static const int sitings[] = {AVCHROMA_LOC_CENTER, AVCHROMA_LOC_LEFT, AVCHROMA_LOC_TOPLEFT, AVCHROMA_LOC_BOTTOM};
    static float rgb[3 * SIZE * SIZE], mask[SIZE * SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(formats) * ARRAY_LENGTH(sitings); i++) {
        _cleanup_frame_ struct frame *frame = new_frame(formats[i % ARRAY_LENGTH(formats)], 64, 64);
        frame->picture->chroma_location = sitings[i / ARRAY_LENGTH(formats)];
        fill(frame->picture, waves);
        AVFrame *before = keep(frame);
        struct affine m = {.a = 1, .c = 10, .e = 1, .f = 12};
        image_crop(frame, &m, SIZE, rgb);
        for (int k = 0; k < SIZE * SIZE; k++)
            mask[k] = 1;
        image_blend(frame, &m, SIZE, rgb, mask);
        int limit = 2 << (depth_of(before) - 8);
        for (int plane = 0; plane < 3; plane++)
            for (int y = 0; y < plane_height(before, plane); y++)
                for (int x = 0; x < plane_width(before, plane); x++)
                    assert_in_range(abs(get(before, plane, x, y) - get(frame->picture, plane, x, y)), 0, limit);
        av_frame_free(&before);
    }
}

static void test_full_mask_replaces(void **state) {
    enum { SIZE = 16 };
    float rgb[3 * SIZE * SIZE], mask[SIZE * SIZE];
    for (int i = 0; i < SIZE * SIZE; i++) {
        rgb[i] = rgb[i + SIZE * SIZE] = rgb[i + 2 * SIZE * SIZE] = 1;
        mask[i] = 1;
    }
    _cleanup_frame_ struct frame *frame = new_frame(AV_PIX_FMT_YUV420P, 48, 48);
    fill(frame->picture, noise);
    image_blend(frame, &(struct affine){.a = 1, .c = 8, .e = 1, .f = 8}, SIZE, rgb, mask);
    for (int y = 8; y < 24; y++)
        for (int x = 8; x < 24; x++) {
            assert_int_equal(get(frame->picture, 0, x, y), 235);
            assert_int_equal(get(frame->picture, 1, x / 2, y / 2), 128);
        }
}

static void test_polygon(void **state) {
    enum { SIZE = 32 };
    float mask[SIZE * SIZE];
    struct point square[] = {{4, 4}, {27, 4}, {27, 27}, {4, 27}};
    image_mask_polygon(square, 4, SIZE, 4, mask);
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            int edge = MIN(MIN(x - 4, 27 - x), MIN(y - 4, 27 - y));
            assert_float_equal(mask[y * SIZE + x], CLAMP(edge / 4.0, 0, 1), 1e-5);
        }
    image_mask_polygon((struct point[]){{-50, -50}, {90, -50}, {90, 90}, {-50, 90}}, 4, SIZE, 0, mask);
    for (int i = 0; i < SIZE * SIZE; i++)
        assert_float_equal(mask[i], 1, 0);
    image_mask_polygon((struct point[]){{100, 100}, {120, 100}, {110, 130}}, 3, SIZE, 2, mask);
    for (int i = 0; i < SIZE * SIZE; i++)
        assert_float_equal(mask[i], 0, 0);
}

static void test_letterbox(void **state) {
    _cleanup_frame_ struct frame *frame = new_frame(AV_PIX_FMT_YUV420P, 200, 100);
    for (int i = 0; i < 200 * 100; i++)
        put(frame->picture, 0, i % 200, i / 200, 16 + i % 200);
    for (int i = 0; i < 100 * 50; i++) {
        put(frame->picture, 1, i % 100, i / 100, 128);
        put(frame->picture, 2, i % 100, i / 100, 128);
    }
    static float rgb[3 * 64 * 64];
    struct affine to_frame;
    image_letterbox(frame, 64, 64, rgb, &to_frame);
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) {
            struct point p = affine_apply(&to_frame, (struct point){(float)x, (float)y});
            float expected = y < 16 || y >= 48 ? 0 : p.x / 219;
            assert_float_equal(rgb[y * 64 + x], expected, 0.01);
        }
}

static void test_swap(void **state) {
    float rgb[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, bgr[] = {9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4};
    image_swap_rb(rgb, 2, 2);
    assert_memory_equal(rgb, bgr, sizeof rgb);
}

int main(void) {
    media_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_crop_outside_and_shrinking),
        cmocka_unit_test(test_crop_averages_when_it_shrinks),
        cmocka_unit_test(test_no_mask_changes_nothing),
        cmocka_unit_test(test_blend_touches_only_the_mask),
        cmocka_unit_test(test_crop_and_blend_back),
        cmocka_unit_test(test_full_mask_replaces),
        cmocka_unit_test(test_polygon),
        cmocka_unit_test(test_letterbox),
        cmocka_unit_test(test_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
