#include "model/detect.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/decode.h"
#include "model/network.h"

enum { FREE_INPUT_SIZE = 640 }; /* where the file leaves it free: what RetinaFace and SCRFD are measured at */

struct detector {
    struct session *session;
    struct binding binding;
    int width, height, anchors;
    float threshold;
    float *picture, *outputs[9];
    struct face *candidates;
};

/* Elements an anchor has in output `index`, and how many anchors that output has. */
static void output_layout(const struct detector *d, int index, int *anchors, int *values) {
    static const int blazeface[] = {16, 1}, retinaface[] = {4, 2, 10}, scrfd[] = {1, 4, 10};
    *anchors = d->anchors;
    if (d->binding.kind == NETWORK_BLAZEFACE) {
        *values = blazeface[index];
    } else if (d->binding.kind == NETWORK_RETINAFACE) {
        *values = retinaface[index];
    } else {
        *anchors = scrfd_anchors(d->width, index % 3);
        *values = scrfd[index / 3];
    }
}

static int output_count(const struct detector *d) {
    return d->binding.kind == NETWORK_BLAZEFACE ? 2 : d->binding.kind == NETWORK_RETINAFACE ? 3 : 9;
}

static void detector_allocate(struct detector *d) {
    d->width = d->binding.width ? d->binding.width : FREE_INPUT_SIZE;
    d->height = d->binding.height ? d->binding.height : FREE_INPUT_SIZE;
    d->anchors = BLAZEFACE_ANCHORS;
    if (d->binding.kind == NETWORK_RETINAFACE)
        d->anchors = retinaface_anchors(d->width, d->height);
    if (d->binding.kind == NETWORK_SCRFD)
        d->anchors = scrfd_anchors(d->width, 0) + scrfd_anchors(d->width, 1) + scrfd_anchors(d->width, 2);
    d->picture = xnew_array(float, (size_t)(3 * d->width * d->height));
    d->candidates = xnew_array(struct face, (size_t)d->anchors);
    for (int i = 0; i < output_count(d); i++) {
        int anchors, values;
        output_layout(d, i, &anchors, &values);
        d->outputs[i] = xnew_array(float, (size_t)(anchors * values));
    }
}

void detector_close(struct detector *d) {
    if (d->session)
        session_close(d->session);
    for (size_t i = 0; i < ARRAY_LENGTH(d->outputs); i++)
        free(d->outputs[i]);
    free(d->picture);
    free(d->candidates);
    free(d);
}

static void detector_scale_plane(float *plane, int count, float scale, float offset) {
    for (int i = 0; i < count; i++)
        plane[i] = plane[i] * scale + offset;
}

/* From RGB in 0 to 1 to what each network was trained on. */
static void detector_normalise(struct detector *d) {
    static const float bgr_mean[] = {104, 117, 123};
    int plane = d->width * d->height;
    if (d->binding.kind == NETWORK_BLAZEFACE)
        detector_scale_plane(d->picture, 3 * plane, 2, -1);
    if (d->binding.kind == NETWORK_SCRFD)
        detector_scale_plane(d->picture, 3 * plane, 255.0f / 128, -127.5f / 128);
    if (d->binding.kind != NETWORK_RETINAFACE)
        return;
    image_swap_rb(d->picture, d->width, d->height);
    for (int c = 0; c < 3; c++)
        detector_scale_plane(d->picture + c * plane, plane, 255, -bgr_mean[c]);
}

static bool detector_run_network(struct detector *d, struct error *err) {
    struct tensor input = {d->picture, 4, {1, 3, d->height, d->width}}, outputs[9];
    for (int i = 0; i < output_count(d); i++) {
        int anchors, values, index = d->binding.outputs[i];
        output_layout(d, i, &anchors, &values);
        outputs[index] = session_output(d->session, index)->rank == 3
                             ? (struct tensor){d->outputs[i], 3, {1, anchors, values}}
                             : (struct tensor){d->outputs[i], 2, {anchors, values}};
    }
    return session_run(d->session, &input, outputs, err);
}

struct detector *detector_open(const struct zoo *zoo, const char *name, const struct device *device,
                               struct error *err) {
    _cleanup_detector_ struct detector *d = xnew(struct detector);
    d->session = network_open(zoo, name, "detect", device, &d->binding, err);
    if (!d->session)
        return NULL;
    const json_t *contract = json_object_get(zoo_manifest(zoo, name, err), "contract");
    d->threshold = (float)json_get_number(contract, "score_threshold", 0.5);
    detector_allocate(d);
    if (!detector_run_network(d, err)) { /* warms it; a network that does not do what its shapes say fails here */
        error_wrap(err, "%s", name);
        return NULL;
    }
    return steal(d);
}

static int detector_decode(struct detector *d) {
    float **o = d->outputs;
    if (d->binding.kind == NETWORK_BLAZEFACE)
        return faces_merge(d->candidates, blazeface_decode(o[0], o[1], d->width, d->threshold, d->candidates), 0.3f);
    int count = d->binding.kind == NETWORK_RETINAFACE
                    ? retinaface_decode(o[0], o[1], o[2], d->width, d->height, d->threshold, d->candidates)
                    : scrfd_decode((const float *const *)o, d->width, d->threshold, d->candidates);
    return faces_suppress(d->candidates, count, 0.4f);
}

/* From the edges of the network's input to the frame's pixel centres. */
static struct point to_frame(const struct affine *m, struct point p) {
    return affine_apply(m, (struct point){p.x - 0.5f, p.y - 0.5f});
}

static struct face face_to_frame(const struct affine *m, const struct face *face) {
    struct point corner = to_frame(m, (struct point){face->x, face->y});
    return (struct face){.x = corner.x,
                         .y = corner.y,
                         .width = face->width * (float)m->a,
                         .height = face->height * (float)m->e,
                         .score = face->score,
                         .eyes = {to_frame(m, face->eyes[0]), to_frame(m, face->eyes[1])},
                         .mouth = to_frame(m, face->mouth)};
}

bool detector_run(struct detector *d, const struct frame *frame, struct face *faces, int max, int *count,
                  struct error *err) {
    struct affine map;
    image_letterbox(frame, d->width, d->height, d->picture, &map);
    detector_normalise(d);
    if (!detector_run_network(d, err))
        return false;
    *count = MIN(detector_decode(d), max);
    for (int i = 0; i < *count; i++)
        faces[i] = face_to_frame(&map, &d->candidates[i]);
    return true;
}
