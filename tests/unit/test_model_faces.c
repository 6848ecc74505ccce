/* Detection and landmarks on real faces; the decoders of added detectors through the whole path. */
#include "model_fixture.h"

#include <math.h>

#include "base/child.h"
#include "media/media.h"
#include "model/model.h"

#define CLIP SOURCE_ROOT "/.deps/media/franck.mp4"
#define STILLS SOURCE_ROOT "/.deps/media/faces"

enum { MAX_FACES = 16 };

static struct frame *next_frame(struct video_reader *reader) {
    struct frame *frame;
    struct error err;
    assert_ok(video_next(reader, &frame, &err), err);
    assert_non_null(frame);
    return frame;
}

static struct frame *first_frame(const char *path) {
    struct error err;
    _cleanup_video_reader_ struct video_reader *reader = video_open(path, 1, NULL, &err);
    assert_ok(reader, err);
    return next_frame(reader);
}

static struct detector *open_detector(const char *name) {
    struct error err;
    _cleanup_zoo_ struct zoo *zoo = shipped_zoo();
    struct detector *detector = detector_open(zoo, name, &cpu, &err);
    assert_ok(detector, err);
    return detector;
}

static struct mesh *open_mesh(void) {
    struct error err;
    _cleanup_zoo_ struct zoo *zoo = shipped_zoo();
    struct mesh *mesh = mesh_open(zoo, "face-mesh", &cpu, &err);
    assert_ok(mesh, err);
    return mesh;
}

static int detect(const char *detector_name, const struct frame *frame, struct face faces[MAX_FACES]) {
    _cleanup_detector_ struct detector *detector = open_detector(detector_name);
    struct error err;
    int count = -1;
    assert_ok(detector_run(detector, frame, faces, MAX_FACES, &count, &err), err);
    for (int i = 1; i < count; i++)
        assert_true(faces[i - 1].score >= faces[i].score);
    return count;
}

static double apart(struct point a, struct point b) { return hypot(a.x - b.x, a.y - b.y); }

static struct point between(struct point a, struct point b) { return (struct point){(a.x + b.x) / 2, (a.y + b.y) / 2}; }

/* The landmarks of a face must lie where the detector saw its eyes and mouth. */
static void assert_agree(const struct face *face, const struct mesh_face *mesh) {
    const struct point *p = mesh->points;
    double near = 0.2 * face->width;
    assert_true(apart(between(p[33], p[133]), face->eyes[0]) < near);
    assert_true(apart(between(p[263], p[362]), face->eyes[1]) < near);
    assert_true(apart(between(p[13], p[14]), face->mouth) < near);
}

static void test_one_face_in_the_clip(void **state) {
    _cleanup_frame_ struct frame *frame = first_frame(CLIP);
    _cleanup_mesh_ struct mesh *mesh = open_mesh();
    static const char *const names[] = {"blazeface-128", "blazeface-256"};
    struct face faces[MAX_FACES];
    struct mesh_face found;
    struct error err;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        assert_int_equal(detect(names[i], frame, faces), 1);
        assert_true(faces[0].eyes[0].x < faces[0].eyes[1].x);
        assert_true(faces[0].eyes[0].y < faces[0].mouth.y);
        struct affine region = mesh_region_of_face(&faces[0]);
        assert_ok(mesh_run(mesh, frame, &region, &found, &err), err);
        assert_true(found.presence > 0.9);
        assert_agree(&faces[0], &found);
    }
}

static void test_landmarks_can_be_followed(void **state) {
    struct error err;
    _cleanup_video_reader_ struct video_reader *reader = video_open(CLIP, 1, NULL, &err);
    assert_ok(reader, err);
    _cleanup_detector_ struct detector *detector = open_detector("blazeface-128");
    _cleanup_mesh_ struct mesh *mesh = open_mesh();
    struct mesh_face face, again;
    struct face seen;
    struct affine region;
    double least = 1, most = 0;
    for (int i = 0; i < 96; i++) {
        _cleanup_frame_ struct frame *frame = next_frame(reader);
        int count;
        if (i == 0 || i == 95)
            assert_ok(detector_run(detector, frame, &seen, 1, &count, &err), err);
        region = i == 0 ? mesh_region_of_face(&seen) : mesh_region_of_landmarks(&face);
        assert_ok(mesh_run(mesh, frame, &region, &face, &err), err);
        assert_true(face.presence > 0.9);
        least = fmin(least, mesh_mouth_opening(&face));
        most = fmax(most, mesh_mouth_opening(&face));
        if (i < 95)
            continue;
        region = mesh_region_of_face(&seen);
        assert_ok(mesh_run(mesh, frame, &region, &again, &err), err);
        for (int k = 0; k < MESH_POINTS; k++)
            assert_true(apart(face.points[k], again.points[k]) < 0.1 * seen.width);
    }
    assert_true(least >= 0 && least < 0.03);
    assert_true(most > 0.05 && most < 0.5);
}

static void test_no_face_is_said(void **state) {
    _cleanup_frame_ struct frame *frame = first_frame(CLIP);
    _cleanup_mesh_ struct mesh *mesh = open_mesh();
    struct affine corner = {.a = 0.3, .c = 2, .e = 0.3, .f = 2}; /* the wall behind him */
    struct mesh_face found;
    struct error err;
    assert_ok(mesh_run(mesh, frame, &corner, &found, &err), err);
    assert_true(found.presence < 0.5);
}

/* The reader takes films only: makes one of a picture. */
static struct frame *still(void **state, const char *name) {
    _cleanup_free_ char *from = xasprintf("%s/%s.jpg", STILLS, name), *film = scratch_path(state, "still.mp4");
    const char *argv[] = {"ffmpeg", "-v",      "error",   "-y",        "-i", from,
                          "-c:v",   "libx264", "-preset", "ultrafast", film, NULL};
    struct error err;
    int status = -1;
    pid_t pid = child_start(argv, NULL, &err);
    assert_ok(pid > 0, err);
    assert_true(child_wait(pid, -1, &status));
    assert_int_equal(status, 0);
    return first_frame(film);
}

static void test_several_faces(void **state) {
    static const char *const names[] = {"sample1", "sample3"}; /* three people each */
    _cleanup_mesh_ struct mesh *mesh = open_mesh();
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        _cleanup_frame_ struct frame *frame = still(state, names[i]);
        struct face faces[MAX_FACES];
        struct mesh_face found;
        struct error err;
        assert_int_equal(detect("blazeface-256", frame, faces), 3);
        for (int k = 0; k < 3; k++) {
            struct affine region = mesh_region_of_face(&faces[k]);
            assert_ok(mesh_run(mesh, frame, &region, &found, &err), err);
            assert_true(found.presence > 0.9);
            assert_agree(&faces[k], &found);
        }
    }
}

static void test_a_region_is_turned_and_squared(void **state) {
    struct face face = {.x = 100, .y = 50, .width = 40, .height = 80, .eyes = {{110, 70}, {130, 90}}};
    struct affine m = mesh_region_of_face(&face);
    struct point middle = affine_apply(&m, (struct point){95.5f, 95.5f});
    assert_float_equal(middle.x, 120, 1e-3);
    assert_float_equal(middle.y, 90, 1e-3);
    assert_float_equal(hypot(m.a, m.d) * 192, 120, 1e-3);
    assert_float_equal(m.a, m.d, 1e-6); /* 45 degrees, clockwise on the screen */
    assert_true(m.a > 0);
}

/* Adds a detector whose answer is made by hand, and runs it on a frame of 360 x 288 seen in 64 x 64. */
static struct face run_added(void **state, const struct onnx_tensor *outputs, int count) {
    _cleanup_free_ char *path = scratch_path(state, "d.onnx"), *weights = scratch_path(state, "weights");
    struct onnx_tensor in = {.name = "in", .rank = 4, .dims = {1, 3, 64, 64}};
    struct error err;
    struct face face;
    int found = 0;
    onnx_write(path, &in, 1, outputs, count);
    _cleanup_zoo_ struct zoo *zoo = zoo_open(*state, weights, &err);
    assert_ok(zoo, err);
    assert_ok(model_add(zoo, "detect", path, "d", &err), err);
    _cleanup_detector_ struct detector *detector = detector_open(zoo, "d", &cpu, &err);
    assert_ok(detector, err);
    _cleanup_frame_ struct frame *frame = first_frame(CLIP);
    assert_ok(detector_run(detector, frame, &face, 1, &found, &err), err);
    assert_int_equal(found, 1);
    return face;
}

/* Edges of the network's input in the frame: 64 pixels for 360, so 6.4 of them black above and below. The
 * letterbox rounds that, so vertical results are right to half of such a pixel. */
static const double half_pixel = 0.5 * 360 / 64;

static double frame_x(double x) { return x * 360 / 64 - 0.5; }
static double frame_y(double y) { return (y - 6.4) * 360 / 64 - 0.5; }

static void test_an_added_retinaface(void **state) {
    enum { ANCHORS = 2 * (64 + 16 + 4), ANCHOR = 2 * (2 * 8 + 3) }; /* stride 8, row 2, column 3, size 16 */
    static float boxes[ANCHORS * 4], scores[ANCHORS * 2], points[ANCHORS * 10];
    scores[2 * ANCHOR + 1] = 0.9f;
    memcpy(points + 10 * ANCHOR, (float[]){-2, -2, 2, -2, 0, 0, -1, 2, 1, 2}, 10 * sizeof(float));
    struct onnx_tensor outputs[] = {{.name = "loc", .rank = 3, .dims = {1, ANCHORS, 4}, .values = boxes},
                                    {.name = "conf", .rank = 3, .dims = {1, ANCHORS, 2}, .values = scores},
                                    {.name = "landmarks", .rank = 3, .dims = {1, ANCHORS, 10}, .values = points}};
    struct face face = run_added(state, outputs, 3);
    assert_float_equal(face.x, frame_x(28 - 8), 0.01);
    assert_float_equal(face.y, frame_y(20 - 8), half_pixel);
    assert_float_equal(face.width, 16 * 360.0 / 64, 0.01);
    assert_float_equal(face.eyes[1].x, frame_x(28 + 3.2), 0.01);
    assert_float_equal(face.mouth.y, frame_y(20 + 3.2), half_pixel);
}

static void test_an_added_scrfd(void **state) {
    enum { ANCHOR = 2 * (1 * 4 + 2) }; /* of stride 16: row 1, column 2 */
    static float scores[32], boxes[32 * 4], points[32 * 10];
    scores[ANCHOR] = 0.8f;
    memcpy(boxes + 4 * ANCHOR, (float[]){1, 1, 1, 1}, 4 * sizeof(float));
    memcpy(points + 10 * ANCHOR, (float[]){-0.5f, 0, 0.5f, 0, 0, 0, 0, 0.5f, 0, 0.5f}, 10 * sizeof(float));
    static const char *const names[] = {"s8", "s16", "s32", "b8", "b16", "b32", "k8", "k16", "k32"};
    static const int64_t anchors[] = {128, 32, 8}, widths[] = {1, 4, 10};
    const float *values[] = {scores, boxes, points};
    struct onnx_tensor outputs[9];
    for (int i = 0; i < 9; i++)
        outputs[i] = (struct onnx_tensor){.name = names[i],
                                          .rank = 2,
                                          .dims = {anchors[i % 3], widths[i / 3]},
                                          .values = i % 3 == 1 ? values[i / 3] : NULL};
    struct face face = run_added(state, outputs, 9);
    assert_float_equal(face.score, 0.8, 1e-6);
    assert_float_equal(face.x, frame_x(32 - 16), 0.01);
    assert_float_equal(face.height, 32 * 360.0 / 64, half_pixel);
    assert_float_equal(face.eyes[0].x, frame_x(24), 0.01);
    assert_float_equal(face.mouth.y, frame_y(24), half_pixel);
}

int main(void) {
    model_process_begin();
    media_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_face_in_the_clip),
        cmocka_unit_test(test_landmarks_can_be_followed),
        cmocka_unit_test(test_no_face_is_said),
        SCRATCH_TEST(test_several_faces),
        cmocka_unit_test(test_a_region_is_turned_and_squared),
        SCRATCH_TEST(test_an_added_retinaface),
        SCRATCH_TEST(test_an_added_scrfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
