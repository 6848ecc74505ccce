#include "model/decode.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"

static struct face box_face(float left, float top, float right, float bottom, float score) {
    return (struct face){.x = left, .y = top, .width = right - left, .height = bottom - top, .score = score};
}

static struct face blazeface_face(const float *box, float cx, float cy, float score) {
    float x = cx + box[0], y = cy + box[1], w = box[2] / 2, h = box[3] / 2;
    struct face face = box_face(x - w, y - h, x + w, y + h, score);
    face.eyes[0] = (struct point){cx + box[4], cy + box[5]};
    face.eyes[1] = (struct point){cx + box[6], cy + box[7]};
    face.mouth = (struct point){cx + box[10], cy + box[11]};
    return face;
}

/* Corner of the cell of this number, counted row by row. */
static struct point cell_corner(int number, int columns, float side) {
    int column = number % columns, row = number / columns;
    return (struct point){(float)column * side, (float)row * side};
}

int blazeface_decode(const float *boxes, const float *scores, int size, float threshold, struct face *out) {
    static const struct {
        int grid, per_cell;
    } levels[] = {{16, 2}, {8, 6}};
    int count = 0, anchor = 0;
    for (size_t level = 0; level < ARRAY_LENGTH(levels); level++) {
        int grid = levels[level].grid, anchors = grid * grid * levels[level].per_cell;
        float cell = (float)size / (float)grid;
        for (int i = 0; i < anchors; i++, anchor++) {
            float score = 1 / (1 + expf(-CLAMP(scores[anchor], -100.0f, 100.0f)));
            struct point corner = cell_corner(i / levels[level].per_cell, grid, cell);
            if (score >= threshold)
                out[count++] = blazeface_face(boxes + 16 * anchor, corner.x + cell / 2, corner.y + cell / 2, score);
        }
    }
    return count;
}

/* Fills eyes and mouth from five points: right eye, left eye, nose, right and left mouth corner. */
static void set_points(struct face *face, const struct point points[5]) {
    face->eyes[0] = points[0];
    face->eyes[1] = points[1];
    face->mouth = point_middle(points[3], points[4]);
}

static struct face retinaface_face(const float *box, const float *landmarks, float cx, float cy, float prior,
                                   float score) {
    const float centre = 0.1f, scale = 0.2f; /* variances */
    float x = cx + box[0] * centre * prior, y = cy + box[1] * centre * prior;
    float w = prior * expf(box[2] * scale) / 2, h = prior * expf(box[3] * scale) / 2;
    struct face face = box_face(x - w, y - h, x + w, y + h, score);
    struct point points[5];
    for (int i = 0; i < 5; i++)
        points[i] = (struct point){cx + landmarks[2 * i] * centre * prior, cy + landmarks[2 * i + 1] * centre * prior};
    set_points(&face, points);
    return face;
}

static int cells(int length, int stride) { return (length + stride - 1) / stride; }

int retinaface_anchors(int width, int height) {
    int count = 0;
    for (int stride = 8; stride <= 32; stride *= 2)
        count += 2 * cells(width, stride) * cells(height, stride);
    return count;
}

int retinaface_decode(const float *boxes, const float *scores, const float *landmarks, int width, int height,
                      float threshold, struct face *out) {
    int count = 0, anchor = 0;
    for (int level = 0; level < 3; level++) {
        int stride = 8 << level, columns = cells(width, stride), rows = cells(height, stride);
        for (int i = 0; i < 2 * columns * rows; i++, anchor++) {
            float prior = (float)(16 << (2 * level + i % 2)), half = (float)stride / 2;
            struct point corner = cell_corner(i / 2, columns, (float)stride);
            if (scores[2 * anchor + 1] >= threshold)
                out[count++] = retinaface_face(boxes + 4 * anchor, landmarks + 10 * anchor, corner.x + half,
                                               corner.y + half, prior, scores[2 * anchor + 1]);
        }
    }
    return count;
}

static struct face scrfd_face(const float *box, const float *keypoints, float x, float y, float stride, float score) {
    struct face face =
        box_face(x - box[0] * stride, y - box[1] * stride, x + box[2] * stride, y + box[3] * stride, score);
    struct point points[5];
    for (int i = 0; i < 5; i++)
        points[i] = (struct point){x + keypoints[2 * i] * stride, y + keypoints[2 * i + 1] * stride};
    set_points(&face, points);
    return face;
}

int scrfd_anchors(int size, int level) {
    int grid = size / (8 << level);
    return 2 * grid * grid;
}

int scrfd_decode(const float *const outputs[9], int size, float threshold, struct face *out) {
    int count = 0;
    for (int level = 0; level < 3; level++) {
        int stride = 8 << level, grid = size / stride, anchors = scrfd_anchors(size, level);
        const float *scores = outputs[level], *boxes = outputs[3 + level], *keypoints = outputs[6 + level];
        for (int i = 0; i < anchors; i++) {
            struct point corner = cell_corner(i / 2, grid, (float)stride);
            if (scores[i] >= threshold)
                out[count++] =
                    scrfd_face(boxes + 4 * i, keypoints + 10 * i, corner.x, corner.y, (float)stride, scores[i]);
        }
    }
    return count;
}

static int better_first(const void *a, const void *b) {
    float x = ((const struct face *)a)->score, y = ((const struct face *)b)->score;
    return (x < y) - (x > y);
}

static float overlap_of(const struct face *a, const struct face *b) {
    float w = fminf(a->x + a->width, b->x + b->width) - fmaxf(a->x, b->x);
    float h = fminf(a->y + a->height, b->y + b->height) - fmaxf(a->y, b->y);
    if (w <= 0 || h <= 0)
        return 0;
    return w * h / (a->width * a->height + b->width * b->height - w * h);
}

/* Adds a face, weighted by its score, to the sum of those that are merged into one. */
static void face_add_weighted(struct face *sum, const struct face *face) {
    float s = face->score;
    sum->x += s * face->x, sum->y += s * face->y;
    sum->width += s * face->width, sum->height += s * face->height;
    for (int i = 0; i < 2; i++)
        sum->eyes[i].x += s * face->eyes[i].x, sum->eyes[i].y += s * face->eyes[i].y;
    sum->mouth.x += s * face->mouth.x, sum->mouth.y += s * face->mouth.y;
    sum->score += s;
}

static struct face weighted_mean(const struct face *sum, float score) {
    float s = 1 / sum->score;
    return (struct face){.x = s * sum->x,
                         .y = s * sum->y,
                         .width = s * sum->width,
                         .height = s * sum->height,
                         .score = score,
                         .eyes = {{s * sum->eyes[0].x, s * sum->eyes[0].y}, {s * sum->eyes[1].x, s * sum->eyes[1].y}},
                         .mouth = {s * sum->mouth.x, s * sum->mouth.y}};
}

static int faces_reduce(struct face *faces, int count, float overlap, bool merge) {
    int kept = 0;
    qsort(faces, (size_t)count, sizeof *faces, better_first);
    while (kept < count) {
        struct face best = faces[kept], sum = {0};
        int left = kept + 1;
        face_add_weighted(&sum, &best);
        for (int i = kept + 1; i < count; i++)
            if (overlap_of(&best, &faces[i]) > overlap)
                face_add_weighted(&sum, &faces[i]);
            else
                faces[left++] = faces[i];
        if (merge)
            faces[kept] = weighted_mean(&sum, best.score);
        kept++;
        count = left;
    }
    return kept;
}

int faces_suppress(struct face *faces, int count, float overlap) { return faces_reduce(faces, count, overlap, false); }
int faces_merge(struct face *faces, int count, float overlap) { return faces_reduce(faces, count, overlap, true); }
