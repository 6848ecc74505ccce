/* The decoders of detectors, on tensors made by hand. */
#include "model_fixture.h"

#include <math.h>

#include "model/decode.h"
#include "model/model.h"

static void assert_point(struct point p, double x, double y) {
    assert_float_equal(p.x, x, 1e-3);
    assert_float_equal(p.y, y, 1e-3);
}

static void assert_box(const struct face *f, double x, double y, double w, double h) {
    assert_point((struct point){f->x, f->y}, x, y);
    assert_point((struct point){f->width, f->height}, w, h);
}

static void fill(float *values, int count, float value) {
    for (int i = 0; i < count; i++)
        values[i] = value;
}

static void test_blazeface_reads_both_grids(void **state) {
    static float boxes[BLAZEFACE_ANCHORS * 16], scores[BLAZEFACE_ANCHORS];
    static struct face out[BLAZEFACE_ANCHORS];
    fill(scores, BLAZEFACE_ANCHORS, -1000);
    int fine = 2 * (3 * 16 + 5) + 1, coarse = 512 + 6 * (2 * 8 + 7) + 4;
    float face[16] = {1, -2, 20, 30, -5, -4, 5, -4, 0, 0, 2, 8, -9, 0, 9, 0};
    memcpy(boxes + 16 * fine, face, sizeof face);
    memcpy(boxes + 16 * coarse, face, sizeof face);
    scores[fine] = 1000, scores[coarse] = 1;
    assert_int_equal(blazeface_decode(boxes, scores, 128, 0.5f, out), 2);
    double x = 5.5 * 8, y = 3.5 * 8;
    assert_box(&out[0], x + 1 - 10, y - 2 - 15, 20, 30);
    assert_point(out[0].eyes[0], x - 5, y - 4);
    assert_point(out[0].eyes[1], x + 5, y - 4);
    assert_point(out[0].mouth, x + 2, y + 8);
    assert_float_equal(out[0].score, 1, 1e-6);
    assert_box(&out[1], 7.5 * 16 + 1 - 10, 2.5 * 16 - 2 - 15, 20, 30);
    assert_float_equal(out[1].score, 1 / (1 + exp(-1)), 1e-6);
    assert_int_equal(blazeface_decode(boxes, scores, 256, 0.9f, out), 1);
    assert_box(&out[0], 5.5 * 16 + 1 - 10, 3.5 * 16 - 2 - 15, 20, 30);
}

static void test_blazeface_ignores_damage(void **state) {
    static float boxes[BLAZEFACE_ANCHORS * 16], scores[BLAZEFACE_ANCHORS];
    static struct face out[BLAZEFACE_ANCHORS];
    fill(scores, BLAZEFACE_ANCHORS, NAN);
    assert_int_equal(blazeface_decode(boxes, scores, 128, 0.5f, out), 0);
}

static void test_retinaface_knows_its_priors(void **state) {
    assert_int_equal(retinaface_anchors(640, 640), 16800);
    assert_int_equal(retinaface_anchors(64, 40), 2 * (8 * 5 + 4 * 3 + 2 * 2));
    enum { ANCHORS = 2 * (8 * 5 + 4 * 3 + 2 * 2) };
    static float boxes[ANCHORS * 4], scores[ANCHORS * 2], landmarks[ANCHORS * 10];
    struct face out[ANCHORS];
    int anchor = 80 + 2 * (1 * 4 + 2) + 1; /* stride 16, row 1, column 2, second size: 128 */
    scores[2 * anchor + 1] = 0.8f;
    boxes[4 * anchor] = 0.5f, boxes[4 * anchor + 2] = 1, boxes[4 * anchor + 3] = -1;
    for (int i = 0; i < 10; i++)
        landmarks[10 * anchor + i] = (float)i / 10;
    assert_int_equal(retinaface_decode(boxes, scores, landmarks, 64, 40, 0.5f, out), 1);
    double x = 40, y = 24, w = 128 * exp(0.2), h = 128 * exp(-0.2);
    assert_box(&out[0], x + 6.4 - w / 2, y - h / 2, w, h);
    assert_point(out[0].eyes[0], x, y + 1.28);
    assert_point(out[0].eyes[1], x + 2.56, y + 3.84);
    assert_point(out[0].mouth, x + 7 * 1.28, y + 8 * 1.28);
    assert_float_equal(out[0].score, 0.8, 1e-6);
}

static void test_scrfd_measures_from_the_corner(void **state) {
    enum { SIZE = 64 };
    static float scores[3][2 * 8 * 8], boxes[3][2 * 8 * 8 * 4], keypoints[3][2 * 8 * 8 * 10];
    const float *outputs[9];
    struct face out[2 * (64 + 16 + 4)];
    for (int i = 0; i < 3; i++)
        outputs[i] = scores[i], outputs[3 + i] = boxes[i], outputs[6 + i] = keypoints[i];
    int anchor = 2 * (1 * 4 + 3); /* stride 16, row 1, column 3 */
    scores[1][anchor] = 0.7f;
    memcpy(&boxes[1][4 * anchor], (float[]){1, 0.5f, 0.25f, 2}, 4 * sizeof(float));
    memcpy(&keypoints[1][10 * anchor], (float[]){-1, 0, 1, 0, 0, 0, -1, 1, 2, 1}, 10 * sizeof(float));
    assert_int_equal(scrfd_decode(outputs, SIZE, 0.5f, out), 1);
    assert_box(&out[0], 48 - 16, 16 - 8, 20, 40);
    assert_point(out[0].eyes[0], 32, 16);
    assert_point(out[0].eyes[1], 64, 16);
    assert_point(out[0].mouth, 48 + 8, 32);
    assert_int_equal(scrfd_anchors(640, 0) + scrfd_anchors(640, 1) + scrfd_anchors(640, 2), 16800);
}

static void test_the_best_of_overlapping_faces_stays(void **state) {
    struct face faces[] = {{.x = 2, .width = 10, .height = 10, .score = 0.5f},
                           {.x = 100, .width = 10, .height = 10, .score = 0.6f},
                           {.x = 0, .width = 10, .height = 10, .score = 0.9f},
                           {.x = 6, .width = 10, .height = 10, .score = 0.7f}};
    assert_int_equal(faces_suppress(faces, 4, 0.4f), 3);
    assert_float_equal(faces[0].score, 0.9, 1e-6);
    assert_float_equal(faces[1].score, 0.7, 1e-6); /* overlaps the best by 4 in 16 only */
    assert_float_equal(faces[2].score, 0.6, 1e-6);
    assert_float_equal(faces[0].x, 0, 1e-6);
}

static void test_merged_faces_are_a_weighted_mean(void **state) {
    struct face faces[] = {{.x = 4, .width = 20, .height = 20, .score = 0.25f, .mouth = {8, 0}},
                           {.x = 0, .width = 16, .height = 20, .score = 0.75f, .mouth = {4, 0}}};
    assert_int_equal(faces_merge(faces, 2, 0.3f), 1);
    assert_box(&faces[0], 1, 0, 17, 20);
    assert_point(faces[0].mouth, 5, 0);
    assert_float_equal(faces[0].score, 0.75, 1e-6);
    assert_int_equal(faces_merge(faces, 0, 0.3f), 0);
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blazeface_reads_both_grids),
        cmocka_unit_test(test_blazeface_ignores_damage),
        cmocka_unit_test(test_retinaface_knows_its_priors),
        cmocka_unit_test(test_scrfd_measures_from_the_corner),
        cmocka_unit_test(test_the_best_of_overlapping_faces_stays),
        cmocka_unit_test(test_merged_faces_are_a_weighted_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
