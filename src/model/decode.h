/* Inside the model room only: the outputs of detectors decoded into faces. Pure functions over tensors.
 *
 * Coordinates are in pixels of the network's input, 0 being the left or upper edge of the first pixel. Each
 * decoder writes every anchor that reaches `threshold`, so `out` holds one face an anchor, and returns how
 * many there are. */
#pragma once

#include "model/face.h"

enum { BLAZEFACE_ANCHORS = 896 };

/* BlazeFace of input `size` 128 or 256. `boxes` [896][16]: offsets from the anchor's centre in pixels:
 * centre, size, six keypoints (right eye, left eye, nose, mouth, ears). `scores` [896]: logits. MediaPipe's
 * modules/face_detection/face_detection_short_range.pbtxt: two anchors a cell on 16x16, then six on 8x8. */
int blazeface_decode(const float *boxes, const float *scores, int size, float threshold, struct face *out);

/* RetinaFace, biubug6/Pytorch_Retinaface: `boxes` [N][4], `scores` [N][2] (softmax done, face second),
 * `landmarks` [N][10]; variances 0.1 and 0.2; strides 8, 16, 32 with sizes 16 32, 64 128, 256 512. */
int retinaface_anchors(int width, int height);
int retinaface_decode(const float *boxes, const float *scores, const float *landmarks, int width, int height,
                      float threshold, struct face *out);

/* SCRFD, deepinsight/insightface: nine outputs, scores, box distances (left, top, right, bottom) and
 * keypoints of strides 8, 16, 32, in strides; two anchors a cell, centred on the cell's corner. */
int scrfd_anchors(int size, int level);
int scrfd_decode(const float *const outputs[9], int size, float threshold, struct face *out);

/* Sorts by score and drops every face that overlaps a better one by more than `overlap` (intersection over
 * union). Returns how many stay. */
int faces_suppress(struct face *faces, int count, float overlap);
/* As faces_suppress, but the one that stays becomes the mean of itself and of those that it replaces, weighted by score
 * (BlazeFace paper, section 4.2); its score is the best one's. */
int faces_merge(struct face *faces, int count, float overlap);
