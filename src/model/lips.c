#include "model/lips.h"

#include <string.h>

#include "base/memory.h"
#include "model/bind.h"

enum { MEL_VALUES = MEL_BANDS * MEL_WINDOW };

struct lips {
    struct session *session;
    struct binding binding;
    int size, batch;
    int run; /* frames a run: the batch, or what the file fixes */
    float *mels, *faces, *out;
};

void lips_close(struct lips *lips) {
    if (lips->session)
        session_close(lips->session);
    free(lips->mels);
    free(lips->faces);
    free(lips->out);
    free(lips);
}

int lips_size(const struct lips *lips) { return lips->size; }
int lips_batch(const struct lips *lips) { return lips->batch; }

/* Wav2Lip was trained on boxes narrower than a square, stretched into one. This is the crop of the networks
 * exported by instant-high/wav2lip-onnx-HQ: the five points of an FFHQ face in a picture of 256, and the
 * window cut out of it. */
struct affine lips_crop(const struct lips *lips, const struct point landmarks[5]) {
    static const struct point ffhq[5] = {{192.98138f / 2, 239.94708f / 2},
                                         {318.90277f / 2, 240.1936f / 2},
                                         {256.63416f / 2, 314.01935f / 2},
                                         {201.26117f / 2, 371.41043f / 2},
                                         {313.08905f / 2, 371.15118f / 2}};
    enum { LEFT = 62, RIGHT = 194, TOP = 65, BOTTOM = 241 };
    struct affine m = affine_similarity(ffhq, landmarks, 5);
    double sx = (double)(RIGHT - LEFT) / lips->size, sy = (double)(BOTTOM - TOP) / lips->size;
    double x = LEFT + 0.5 * sx - 0.5, y = TOP + 0.5 * sy - 0.5; /* centre of the crop's first pixel */
    return (struct affine){m.a * sx, m.b * sy, m.a * x + m.b * y + m.c,
                           m.d * sx, m.e * sy, m.d * x + m.e * y + m.f};
}

/* RGB into the network's six BGR planes: three with the lower half zero, three whole. */
static void fill_face(const float *rgb, int size, float *face) {
    size_t plane = (size_t)size * (size_t)size, half = plane / 2;
    for (size_t c = 0; c < 3; c++) {
        const float *from = rgb + (2 - c) * plane;
        memcpy(face + c * plane, from, half * sizeof(float));
        memcpy(face + (3 + c) * plane, from, plane * sizeof(float));
    }
}

/* BGR to RGB, and into 0 to 1: the networks of size 384 end in tanh. */
static void take_face(const float *bgr, int size, float *restrict rgb) {
    size_t plane = (size_t)size * (size_t)size;
    for (size_t c = 0; c < 3; c++) {
        const float *from = bgr + (2 - c) * plane;
        for (size_t i = 0; i < plane; i++)
            rgb[c * plane + i] = from[i] > 0 ? from[i] < 1 ? from[i] : 1 : 0;
    }
}

static bool run_network(struct lips *lips, struct error *err) {
    int64_t run = lips->run, size = lips->size;
    struct tensor inputs[2], out = {lips->out, 4, {run, 3, size, size}};
    inputs[lips->binding.mel] = (struct tensor){lips->mels, 4, {run, 1, MEL_BANDS, MEL_WINDOW}};
    inputs[lips->binding.picture] = (struct tensor){lips->faces, 4, {run, 6, size, size}};
    return session_run(lips->session, inputs, &out, err);
}

struct lips *lips_open(const struct zoo *zoo, const char *name, const struct device *device, int batch,
                       struct error *err) {
    _cleanup_lips_ struct lips *lips = xnew(struct lips);
    lips->session = network_open(zoo, name, "lips", device, &lips->binding, err);
    if (!lips->session)
        return NULL;
    lips->size = lips->binding.width;
    lips->batch = batch;
    lips->run = lips->binding.batch ? lips->binding.batch : batch;
    size_t plane = (size_t)lips->size * (size_t)lips->size, run = (size_t)lips->run;
    lips->mels = xnew_array(float, run *MEL_VALUES);
    /* Zeroed once: the masked halves are never written. */
    lips->faces = xnew_array(float, run * 6 * plane);
    lips->out = xnew_array(float, run * 3 * plane);
    if (!run_network(lips, err)) { /* warms it; a network that does not do what its shapes say fails here */
        error_wrap(err, "%s", name);
        return NULL;
    }
    return steal(lips);
}

bool lips_run(struct lips *lips, int n, const float *mels, const float *crops, float *out,
              struct error *err) {
    size_t plane = (size_t)lips->size * (size_t)lips->size;
    for (int start = 0; start < n; start += lips->run) {
        /* What is past the end keeps the values of the run before: any finite ones will do. */
        size_t count = (size_t)MIN(lips->run, n - start), first = (size_t)start;
        memcpy(lips->mels, mels + first * MEL_VALUES, count * MEL_VALUES * sizeof(float));
        for (size_t i = 0; i < count; i++)
            fill_face(crops + (first + i) * 3 * plane, lips->size, lips->faces + i * 6 * plane);
        if (!run_network(lips, err))
            return false;
        for (size_t i = 0; i < count; i++)
            take_face(lips->out + i * 3 * plane, lips->size, out + (first + i) * 3 * plane);
    }
    return true;
}
