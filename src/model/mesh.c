#include "model/mesh.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/network.h"

enum { CROP = 192, RIGHT_EYE = 33, LEFT_EYE = 263 };

struct mesh {
    struct session *session;
    struct binding binding;
    bool logit; /* the sigmoid is not in the network */
    float picture[3 * CROP * CROP], landmarks[MESH_POINTS * 3];
};

void mesh_close(struct mesh *mesh) {
    if (mesh->session)
        session_close(mesh->session);
    free(mesh);
}

/* A square of 1.5 times the box's longer side around its middle, turned so that the eyes are level
 * (MediaPipe, modules/face_landmark/face_detection_front_detection_to_roi.pbtxt and
 * face_landmark_landmarks_to_roi.pbtxt). */
static struct affine mesh_region(struct point low, struct point high, struct point right_eye, struct point left_eye) {
    double angle = atan2(left_eye.y - right_eye.y, left_eye.x - right_eye.x);
    double scale = 1.5 * fmax(high.x - low.x, high.y - low.y) / CROP;
    double c = scale * cos(angle), s = scale * sin(angle), middle = (CROP - 1) / 2.0;
    return (struct affine){c, -s, (low.x + high.x) / 2 - (c - s) * middle,
                           s, c,  (low.y + high.y) / 2 - (s + c) * middle};
}

struct affine mesh_region_of_face(const struct face *face) {
    return mesh_region((struct point){face->x, face->y}, (struct point){face->x + face->width, face->y + face->height},
                       face->eyes[0], face->eyes[1]);
}

struct affine mesh_region_of_landmarks(const struct mesh_face *before) {
    struct point low = before->points[0], high = low;
    for (int i = 1; i < MESH_POINTS; i++) {
        struct point p = before->points[i];
        low = (struct point){fminf(low.x, p.x), fminf(low.y, p.y)};
        high = (struct point){fmaxf(high.x, p.x), fmaxf(high.y, p.y)};
    }
    return mesh_region(low, high, before->points[RIGHT_EYE], before->points[LEFT_EYE]);
}

/* The declared shape, a free batch being 1. */
static struct tensor output_tensor(const struct mesh *mesh, int index, float *data) {
    const struct tensor_shape *shape = session_output(mesh->session, index);
    struct tensor tensor = {.data = data, .rank = shape->rank};
    for (int i = 0; i < shape->rank; i++)
        tensor.dims[i] = shape->dims[i] > 0 ? shape->dims[i] : 1;
    return tensor;
}

static bool mesh_run_network(struct mesh *mesh, float *presence, struct error *err) {
    struct tensor input = {mesh->picture, 4, {1, 3, CROP, CROP}}, outputs[2];
    const int *index = mesh->binding.outputs;
    outputs[index[0]] = output_tensor(mesh, index[0], mesh->landmarks);
    outputs[index[1]] = output_tensor(mesh, index[1], presence);
    return session_run(mesh->session, &input, outputs, err);
}

struct mesh *mesh_open(const struct zoo *zoo, const char *name, const struct device *device, struct error *err) {
    _cleanup_mesh_ struct mesh *mesh = xnew(struct mesh);
    mesh->session = network_open(zoo, name, "mesh", device, &mesh->binding, err);
    if (!mesh->session)
        return NULL;
    const json_t *contract = json_object_get(zoo_manifest(zoo, name, err), "contract");
    mesh->logit = strcmp(json_get_string(contract, "presence", ""), "logit") == 0;
    float presence;
    if (!mesh_run_network(mesh, &presence,
                          err)) { /* warms it; a network that does not do what its shapes say fails here */
        error_wrap(err, "%s", name);
        return NULL;
    }
    return steal(mesh);
}

bool mesh_run(struct mesh *mesh, const struct frame *frame, const struct affine *where, struct mesh_face *out,
              struct error *err) {
    float presence = 0;
    image_crop(frame, where, CROP, mesh->picture);
    if (!mesh_run_network(mesh, &presence, err))
        return false;
    out->presence = mesh->logit ? 1 / (1 + expf(-presence)) : presence;
    /* The network counts from the edge of the crop, an affine from the centre of its first pixel. */
    for (int i = 0; i < MESH_POINTS; i++)
        out->points[i] =
            affine_apply(where, (struct point){mesh->landmarks[3 * i] - 0.5f, mesh->landmarks[3 * i + 1] - 0.5f});
    return true;
}

static double point_distance(struct point a, struct point b) { return hypot(a.x - b.x, a.y - b.y); }

double mesh_mouth_opening(const struct mesh_face *face) {
    const struct point *p = face->points;
    double height = point_distance(p[10], p[152]);
    return height > 0 ? point_distance(p[13], p[14]) / height : 0;
}
