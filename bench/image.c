/* mela-bench image: how long the loops over pixels take, at the sizes that the pipeline uses. */
#include <libavutil/frame.h>
#include <libavutil/pixfmt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "bench.h"
#include "media/image.h"

enum { FRAME_WIDTH = 1280, FRAME_HEIGHT = 720, LARGEST = 384, LEAST_NS = 50000000 };

struct scene {
    struct frame *frame;
    struct affine crop_to_frame;
    struct affine to_frame;
    int size;
    float *rgb, *mask;
};

static void crop(struct scene *s) { image_crop(s->frame, &s->crop_to_frame, s->size, s->rgb); }
static void blend(struct scene *s) { image_blend(s->frame, &s->crop_to_frame, s->size, s->rgb, s->mask); }
static void letterbox(struct scene *s) { image_letterbox(s->frame, s->size, s->size, s->rgb, &s->to_frame); }
static void swap_red_and_blue(struct scene *s) { image_swap_rb(s->rgb, s->size, s->size); }

/* The lower half of a face: 36 points, as many as the mesh's jaw and cheek line. */
static void mask(struct scene *s) {
    struct point points[36];
    for (int i = 0; i < 36; i++)
        points[i] = (struct point){(float)(s->size * (0.5 + 0.35 * cos(i * M_PI / 18))),
                                   (float)(s->size * (0.62 + 0.3 * sin(i * M_PI / 18)))};
    image_mask_polygon(points, 36, s->size, (float)s->size / 12, s->mask);
}

/* Processor time of this thread: other programs on the machine do not count. */
static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * (int64_t)1000000000 + time.tv_nsec;
}

static void measure_loop(const char *name, struct scene *scene, int format, int pixels,
                         void (*run)(struct scene *scene)) {
    run(scene);
    int64_t start = now_ns(), took = 0;
    int calls = 0;
    for (; took < LEAST_NS; took = now_ns() - start, calls++)
        run(scene);
    double each = (double)took / calls;
    printf("{\"bench\":\"image.%s\",\"size\":%d,\"bits\":%d,\"ns_per_call\":%.0f,\"ns_per_pixel\":%.3f}\n", name,
           scene->size, format == AV_PIX_FMT_YUV420P ? 8 : 10, each, each / pixels);
}

static struct frame *make_frame(int format) {
    struct frame *frame = xnew(struct frame);
    frame->picture = av_frame_alloc();
    if (!frame->picture)
        abort();
    frame->picture->format = format;
    frame->picture->width = FRAME_WIDTH;
    frame->picture->height = FRAME_HEIGHT;
    if (av_frame_get_buffer(frame->picture, 0) < 0)
        abort();
    for (int plane = 0; plane < 3; plane++)
        for (int i = 0; i < frame->picture->linesize[plane] * (plane ? FRAME_HEIGHT / 2 : FRAME_HEIGHT); i++)
            frame->picture->data[plane][i] = format == AV_PIX_FMT_YUV420P ? (uint8_t)(i * 7) : (uint8_t)(i & 1 ? 1 : i);
    return frame;
}

/* A face of 260 pixels, tilted by 10 degrees. */
static void bench_scene(int format, int size) {
    _cleanup_frame_ struct frame *frame = make_frame(format);
    _cleanup_free_ float *rgb = xnew_array(float, 3 * LARGEST * LARGEST);
    _cleanup_free_ float *weights = xnew_array(float, LARGEST *LARGEST);
    double scale = 260.0 / size, c = scale * cos(0.17), s = scale * sin(0.17);
    struct scene scene = {
        .frame = frame, .crop_to_frame = {c, -s, 500, s, c, 200}, .size = size, .rgb = rgb, .mask = weights};
    measure_loop("crop", &scene, format, size * size, crop);
    measure_loop("mask", &scene, format, size * size, mask);
    measure_loop("blend", &scene, format, 260 * 260, blend);
    measure_loop("letterbox", &scene, format, FRAME_WIDTH * FRAME_HEIGHT, letterbox);
    measure_loop("swap_rb", &scene, format, size * size, swap_red_and_blue);
}

static bool bench_image_run(struct cli *cli, struct error *err) {
    const int sizes[] = {96, 192, 384};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        bench_scene(AV_PIX_FMT_YUV420P, sizes[i]);
        bench_scene(AV_PIX_FMT_YUV420P10, sizes[i]);
    }
    return true;
}

const struct command command_bench_image = {
    .name = "image",
    .summary = "measure the loops over pixels around the networks",
    .help = "Prints one JSON object a line, for each loop, size and bit depth: crop, mask, blend, letterbox, "
            "swap.\n\n"
            "Example:\n  mela-bench image\n",
    .run = bench_image_run,
};
