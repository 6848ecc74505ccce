/* One pass over a film: timestamps and shot cuts.
 *
 * A cut is where colours change at once: for each frame, Y, U and V of a coarse grid of samples go into
 * histograms, one set for each quarter of the picture; the score is their mean distance from the last frame's
 * (0: same, 1: nothing in common). It is a cut when the score is large and stands out from its neighbours,
 * which camera moves and flicker do not: the rule of PySceneDetect's AdaptiveDetector, whose window (2) and
 * ratio (3) are used here. The least score was set on test clips; see tests/media/test_scan.py. */
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/ffmpeg.h"

enum { BINS = 32, QUARTERS = 4, GRID = 64, NEIGHBOURS = 2 };
#define LEAST_SCORE 0.20
#define LEAST_RATIO 3.0
#define SHORTEST_SHOT_SECONDS 0.2

struct histogram {
    uint16_t count[3][QUARTERS][BINS];
};

static void fill_histogram(struct histogram *histogram, const AVFrame *picture) {
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(picture->format);
    int depth = description->comp[0].depth;
    memset(histogram, 0, sizeof *histogram);
    for (int plane = 0; plane < 3; plane++) {
        int width = plane ? AV_CEIL_RSHIFT(picture->width, description->log2_chroma_w) : picture->width;
        int height = plane ? AV_CEIL_RSHIFT(picture->height, description->log2_chroma_h) : picture->height;
        for (int i = 0; i < GRID * GRID; i++) {
            int column = i % GRID, line = i / GRID;
            const uint8_t *row = picture->data[plane] +
                                 (2 * line + 1) * height / (2 * GRID) * (ptrdiff_t)picture->linesize[plane];
            int x = (2 * column + 1) * width / (2 * GRID);
            int value = depth > 8 ? ((const uint16_t *)row)[x] >> (depth - 8) : row[x];
            int quarter = 2 * (2 * line / GRID) + 2 * column / GRID;
            histogram->count[plane][quarter][value * BINS / 256]++;
        }
    }
}

/* Half the summed distance over the number of samples, 0 to 1. */
static float distance(const struct histogram *a, const struct histogram *b) {
    const uint16_t *p = &a->count[0][0][0], *q = &b->count[0][0][0];
    int sum = 0;
    for (int i = 0; i < 3 * QUARTERS * BINS; i++)
        sum += abs(p[i] - q[i]);
    return (float)sum / (2 * 3 * GRID * GRID);
}

struct scores {
    float *values; /* values[i]: from frame i - 1 to frame i */
    int64_t capacity;
};
static void scores_free(struct scores *scores) { free(scores->values); }

static bool stands_out(const float *scores, int64_t count, int64_t i) {
    double sum = 0;
    int neighbours = 0;
    for (int64_t k = MAX(i - NEIGHBOURS, 1); k <= MIN(i + NEIGHBOURS, count - 1); k++)
        if (k != i) {
            sum += scores[k];
            neighbours++;
        }
    return scores[i] >= LEAST_SCORE && scores[i] * neighbours >= LEAST_RATIO * sum;
}

static void find_shots(const float *scores, double ticks_a_second, struct video_scan *out) {
    out->shots = xnew(int64_t);
    out->shot_count = 1;
    for (int64_t i = 1; i < out->frame_count; i++) {
        int64_t length = out->pts[i] - out->pts[out->shots[out->shot_count - 1]];
        if ((double)length < SHORTEST_SHOT_SECONDS * ticks_a_second ||
            !stands_out(scores, out->frame_count, i))
            continue;
        out->shots = xreallocarray(out->shots, out->shot_count + 1, sizeof *out->shots);
        out->shots[out->shot_count++] = i;
    }
}

static void add_frame(struct video_scan *scan, struct scores *scores, const struct frame *frame,
                      float score) {
    if (scan->frame_count == scores->capacity) {
        scores->capacity = 2 * scores->capacity + 1024;
        scores->values = xreallocarray(scores->values, (size_t)scores->capacity, sizeof *scores->values);
        scan->pts = xreallocarray(scan->pts, (size_t)scores->capacity, sizeof *scan->pts);
    }
    scores->values[scan->frame_count] = score;
    scan->pts[scan->frame_count++] = frame->pts;
    scan->end_pts = frame->pts + frame->duration;
}

bool video_scan(struct video_reader *reader, bool (*progress)(int64_t frames, void *context), void *context,
                struct video_scan *out, struct error *err) {
    *out = (struct video_scan){0};
    _cleanup_video_scan_ struct video_scan scan = {0};
    _cleanup_(scores_free) struct scores scores = {0};
    struct histogram histograms[2];
    for (;;) {
        _cleanup_frame_ struct frame *frame = NULL;
        if (!video_next(reader, &frame, err))
            return false;
        if (!frame)
            break;
        struct histogram *now = &histograms[scan.frame_count % 2],
                         *before = &histograms[(scan.frame_count + 1) % 2];
        fill_histogram(now, frame->picture);
        add_frame(&scan, &scores, frame, scan.frame_count ? distance(now, before) : 0);
        if (progress && !progress(scan.frame_count, context))
            return error_set(err, ERR_CANCELLED, "the campaign was cancelled while its video was read");
    }
    if (scan.frame_count == 0)
        return error_set(err, ERR_MEDIA_EMPTY, "the video holds no frame");
    const struct video_info *info = video_reader_info(reader);
    find_shots(scores.values, (double)info->time_base_den / info->time_base_num, &scan);
    *out = scan;
    scan = (struct video_scan){0};
    return true;
}

void video_scan_free(struct video_scan *scan) {
    free(scan->pts);
    free(scan->shots);
    *scan = (struct video_scan){0};
}
