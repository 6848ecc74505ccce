/* One pass over a film: timestamps and shot cuts.
 *
 * A cut is where the picture's structure changes at once. Each frame is shrunk to a grid of mean Y, U and V;
 * the score is the mean difference from the last frame's grid after the median difference of the plane is
 * taken out, in steps of 1/255: so a camera that corrects its exposure scores nothing (it would with
 * histograms: on the test films, cap12 and cap13, such a step differed more than a cut between two takes). It
 * is a cut when the score is large and stands out from its neighbours, which movement does not: the rule of
 * PySceneDetect's AdaptiveDetector, whose window (2) and ratio (3) are used. The least score lies between
 * what was measured on those films: a cut between two takes of one man in one room 9.1, hard cuts above 100;
 * talking, head movement and exposure below 4.1. See tests/media/test_scan.py. */
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "farm/limits.h"
#include "media/ffmpeg.h"
#include "media/video.h"

enum { GRID = 32, CELLS = GRID * GRID, SAMPLES = 4, NEIGHBOURS = 2 };
#define LEAST_SCORE 6.0
#define LEAST_RATIO 3.0
#define STILL 0.3 /* added to the neighbours, so that noise in a still picture stands out from nothing */
#define SHORTEST_SHOT_SECONDS 0.2

struct thumbnail_plane {
    const uint8_t *data;
    ptrdiff_t stride;
    int width, height, depth;
};

struct thumbnail {
    uint8_t cells[3][CELLS];
};

/* The mean of SAMPLES x SAMPLES samples spread over a cell. */
static uint8_t cell_mean(const struct thumbnail_plane *plane, int column, int line) {
    int sum = 0;
    for (int i = 0; i < SAMPLES * SAMPLES; i++) {
        int x = (2 * (column * SAMPLES + i % SAMPLES) + 1) * plane->width / (2 * GRID * SAMPLES);
        int y = (2 * (line * SAMPLES + i / SAMPLES) + 1) * plane->height / (2 * GRID * SAMPLES);
        const uint8_t *row = plane->data + y * plane->stride;
        sum += plane->depth > 8 ? ((const uint16_t *)row)[x] >> (plane->depth - 8) : row[x];
    }
    return (uint8_t)(sum / (SAMPLES * SAMPLES));
}

static void make_thumbnail(struct thumbnail *thumbnail, const AVFrame *picture) {
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(picture->format);
    for (int i = 0; i < 3; i++) {
        struct thumbnail_plane plane = {
            .data = picture->data[i],
            .stride = picture->linesize[i],
            .width = i ? AV_CEIL_RSHIFT(picture->width, description->log2_chroma_w) : picture->width,
            .height = i ? AV_CEIL_RSHIFT(picture->height, description->log2_chroma_h) : picture->height,
            .depth = description->comp[0].depth,
        };
        for (int cell = 0; cell < CELLS; cell++)
            thumbnail->cells[i][cell] = cell_mean(&plane, cell % GRID, cell / GRID);
    }
}

/* Mean distance of the differences from their median. */
static float plane_difference(const uint8_t *a, const uint8_t *b) {
    int counts[511] = {0}, below = 0, median = 0, sum = 0;
    for (int i = 0; i < CELLS; i++)
        counts[a[i] - b[i] + 255]++;
    while ((below += counts[median]) <= CELLS / 2)
        median++;
    for (int i = 0; i < 511; i++)
        sum += counts[i] * abs(i - median);
    return (float)sum / CELLS;
}

static float thumbnail_difference(const struct thumbnail *a, const struct thumbnail *b) {
    return plane_difference(a->cells[0], b->cells[0]) +
           (plane_difference(a->cells[1], b->cells[1]) + plane_difference(a->cells[2], b->cells[2])) / 2;
}

struct scores {
    float *values; /* values[i]: from frame i - 1 to frame i */
    int64_t capacity;
};
static void scores_free(struct scores *scores) { free(scores->values); }

static bool stands_out(const float *scores, int64_t count, int64_t i) {
    double sum = STILL;
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
        if ((double)length < SHORTEST_SHOT_SECONDS * ticks_a_second || !stands_out(scores, out->frame_count, i))
            continue;
        out->shots = xreallocarray(out->shots, out->shot_count + 1, sizeof *out->shots);
        out->shots[out->shot_count++] = i;
    }
}

/* Whether so many frames are within the limits, and the last ones of them within a second. */
static bool check_frames(const struct video_scan *scan, const struct video_info *info, struct error *err) {
    int64_t count = scan->frame_count, most = limit_most(LIMIT_FRAME_RATE);
    if (!limit_check(LIMIT_FRAMES, (double)count, "the film", err))
        return false;
    int64_t ticks = count > most ? scan->pts[count - 1] - scan->pts[count - 1 - most] : INT64_MAX;
    double seconds = (double)ticks * info->time_base_num / info->time_base_den;
    return seconds >= 1 || limit_check(LIMIT_FRAME_RATE, (double)(most + 1), "the film", err);
}

static void add_frame(struct video_scan *scan, struct scores *scores, const struct frame *frame, float score) {
    if (scan->frame_count == scores->capacity) {
        scores->capacity = 2 * scores->capacity + 1024;
        scores->values = xreallocarray(scores->values, (size_t)scores->capacity, sizeof *scores->values);
        scan->pts = xreallocarray(scan->pts, (size_t)scores->capacity, sizeof *scan->pts);
    }
    scores->values[scan->frame_count] = score;
    scan->pts[scan->frame_count++] = frame->pts;
    scan->end_pts = frame->pts + frame->duration;
}

bool video_scan(struct video_reader *reader, void (*progress)(int64_t frames, void *context), void *context,
                struct video_scan *out, struct error *err) {
    *out = (struct video_scan){0};
    _cleanup_video_scan_ struct video_scan scan = {0};
    _cleanup_(scores_free) struct scores scores = {0};
    const struct video_info *info = video_reader_info(reader);
    struct thumbnail thumbnails[2];
    for (;;) {
        _cleanup_frame_ struct frame *frame = NULL;
        if (!video_next(reader, &frame, err))
            return false;
        if (!frame)
            break;
        struct thumbnail *now = &thumbnails[scan.frame_count % 2], *before = &thumbnails[(scan.frame_count + 1) % 2];
        make_thumbnail(now, frame->picture);
        add_frame(&scan, &scores, frame, scan.frame_count ? thumbnail_difference(now, before) : 0);
        if (!check_frames(&scan, info, err))
            return false;
        if (progress)
            progress(scan.frame_count, context);
    }
    if (scan.frame_count == 0)
        return error_set(err, ERR_MEDIA_EMPTY, "the video holds no frame");
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
