#include "model/lips.h"

#include <string.h>

#include "base/memory.h"
#include "model/network.h"

enum { MEL_VALUES = MEL_BANDS * MEL_WINDOW };

struct lips {
    struct session *session;
    struct binding binding;
    int size, batch;
    int run; /* frames of a run: the batch, or what the file fixes */
    float *mels, *faces, *out;
    struct template {
        double aspect;          /* width over height of what is stretched into the square */
        struct point points[5]; /* where the landmarks belong, in parts of the crop */
    }
    template;
};

/* Where the manifest says nothing: the crop of the networks exported by instant-high/wav2lip-onnx-HQ, which
 * are fed the window of columns 62 to 194 and rows 65 to 241 of a face aligned to FFHQ's five points in 256 x
 * 256. Like Wav2Lip's training boxes it is narrower than a square. */
static const struct template wav2lip_template = {
    0.75, {{0.2613f, 0.3124f}, {0.7383f, 0.313f}, {0.5024f, 0.5228f}, {0.2927f, 0.6858f}, {0.7162f, 0.6851f}}};

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

static bool read_template(const json_t *contract, struct template *out, struct error *err) {
    json_t *crop = json_object_get(contract, "crop");
    double p[10];
    *out = wav2lip_template;
    if (!crop)
        return true;
    if (json_unpack(crop, "{sF s[[FF][FF][FF][FF][FF]]}", "aspect", &out->aspect, "points", p, p + 1, p + 2, p + 3,
                    p + 4, p + 5, p + 6, p + 7, p + 8, p + 9) != 0 ||
        out->aspect <= 0)
        return error_set(err, ERR_MODEL_INVALID, "\"crop\" in its manifest must have an aspect and five points");
    for (int i = 0; i < 5; i++)
        out->points[i] = (struct point){(float)p[2 * i], (float)p[2 * i + 1]};
    return true;
}

struct affine lips_crop(const struct lips *lips, const struct point landmarks[5]) {
    double aspect = lips->template.aspect, step = 1.0 / lips->size;
    struct point upright[5]; /* in heights of the crop, before it is stretched */
    for (int i = 0; i < 5; i++)
        upright[i] = (struct point){lips->template.points[i].x * (float)aspect, lips->template.points[i].y};
    struct affine m = affine_similarity(upright, landmarks, 5);
    double x = aspect * step / 2, y = step / 2; /* centre of the crop's first pixel */
    return (struct affine){m.a * aspect * step, m.b * step, m.a * x + m.b * y + m.c,
                           m.d * aspect * step, m.e * step, m.d * x + m.e * y + m.f};
}

/* RGB into the network's six BGR planes: three with the lower half zero, three whole. */
static void lips_fill_face(const float *rgb, int size, float *face) {
    size_t plane = (size_t)size * (size_t)size, half = plane / 2;
    for (size_t c = 0; c < 3; c++) {
        const float *from = rgb + (2 - c) * plane;
        memcpy(face + c * plane, from, half * sizeof(float));
        memcpy(face + (3 + c) * plane, from, plane * sizeof(float));
    }
}

/* BGR to RGB, and into 0 to 1: the networks of size 384 end in tanh. */
static void lips_read_face(const float *bgr, int size, float *restrict rgb) {
    size_t plane = (size_t)size * (size_t)size;
    for (size_t c = 0; c < 3; c++) {
        const float *from = bgr + (2 - c) * plane;
        for (size_t i = 0; i < plane; i++)
            rgb[c * plane + i] = from[i] > 0 ? from[i] < 1 ? from[i] : 1 : 0;
    }
}

static bool lips_run_network(struct lips *lips, struct error *err) {
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
    const json_t *contract = json_object_get(zoo_manifest(zoo, name, err), "contract");
    if (!read_template(contract, &lips->template, err)) {
        error_wrap(err, "%s", name);
        return NULL;
    }
    lips->size = lips->binding.width;
    lips->batch = batch;
    lips->run = lips->binding.batch ? lips->binding.batch : batch;
    size_t plane = (size_t)lips->size * (size_t)lips->size, run = (size_t)lips->run;
    lips->mels = xnew_array(float, run *MEL_VALUES);
    /* Zeroed once: the masked halves are never written. */
    lips->faces = xnew_array(float, run * 6 * plane);
    lips->out = xnew_array(float, run * 3 * plane);
    if (!lips_run_network(lips, err)) { /* warms it; a network that does not do what its shapes say fails here */
        error_wrap(err, "%s", name);
        return NULL;
    }
    return steal(lips);
}

bool lips_run(struct lips *lips, int n, const float *mels, const float *crops, float *out, struct error *err) {
    size_t plane = (size_t)lips->size * (size_t)lips->size;
    for (int start = 0; start < n; start += lips->run) {
        /* What is past the end keeps the values of the run before: any finite ones will do. */
        size_t count = (size_t)MIN(lips->run, n - start), first = (size_t)start;
        memcpy(lips->mels, mels + first * MEL_VALUES, count * MEL_VALUES * sizeof(float));
        for (size_t i = 0; i < count; i++)
            lips_fill_face(crops + (first + i) * 3 * plane, lips->size, lips->faces + i * 6 * plane);
        if (!lips_run_network(lips, err))
            return false;
        for (size_t i = 0; i < count; i++)
            lips_read_face(lips->out + i * 3 * plane, lips->size, out + (first + i) * 3 * plane);
    }
    return true;
}
