#include "model/bind.h"

#include <string.h>

#include "base/buffer.h"

/* FREE: any length. LARGEST: a fixed batch or side beyond it is a mistake, and nothing is allocated for it. */
enum { FREE = -1, LARGEST = 4096 };

struct signature signature_of(const struct session *session) {
    return (struct signature){.inputs = session_input(session, 0),
                              .outputs = session_output(session, 0),
                              .input_count = session_input_count(session),
                              .output_count = session_output_count(session)};
}

/* A dimension that the file leaves free fits anything, and so does a wanted FREE. */
static bool shape_fits(const struct tensor_shape *shape, int rank, const int64_t *wanted) {
    if (shape->rank != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (wanted[i] != FREE && shape->dims[i] >= 0 && shape->dims[i] != wanted[i])
            return false;
    return true;
}

#define FITS(shape, ...)                                                                                               \
    shape_fits((shape), (int)ARRAY_LENGTH(((int64_t[]){__VA_ARGS__})), (const int64_t[]){__VA_ARGS__})

static int64_t last_dim(const struct tensor_shape *shape) { return shape->rank > 0 ? shape->dims[shape->rank - 1] : 0; }

/* A fixed dimension; 0 when it is free. */
static int known_dim(int64_t dim) { return dim > 0 ? (int)MIN(dim, LARGEST + 1) : 0; }

/* Elements of one batch item; 0 when a dimension is free. */
static int64_t item_size(const struct tensor_shape *shape) {
    int64_t size = 1; /* at most 4097 to the fifth power: it cannot overflow */
    for (int i = 1; i < shape->rank; i++)
        size *= known_dim(shape->dims[i]);
    return size;
}

static bool bind_picture(const struct tensor_shape *shape, int channels, int index, struct binding *out) {
    if (shape->rank != 4 || shape->dims[1] != channels)
        return false;
    out->picture = index;
    out->batch = known_dim(shape->dims[0]);
    out->height = known_dim(shape->dims[2]);
    out->width = known_dim(shape->dims[3]);
    return out->batch <= LARGEST && out->height <= LARGEST && out->width <= LARGEST;
}

static bool is_mel(const struct tensor_shape *shape) {
    return FITS(shape, FREE, 1, 80, 16) && shape->dims[2] == 80 && shape->dims[3] == 16;
}

static bool bind_lips(const struct signature *s, struct binding *out) {
    out->kind = NETWORK_LIPS;
    if (s->input_count != 2 || s->output_count != 1)
        return false;
    out->mel = is_mel(&s->inputs[0]) ? 0 : 1;
    if (!is_mel(&s->inputs[out->mel]) || !bind_picture(&s->inputs[1 - out->mel], 6, 1 - out->mel, out))
        return false;
    int size = out->height;
    bool known_size = size == 96 || size == 256 || size == 288 || size == 384;
    return known_size && out->width == size && FITS(&s->outputs[0], FREE, 3, size, size);
}

/* Index of the only output that ends in `width`; -1 when there is none or more. */
static int output_ending(const struct signature *s, int64_t width) {
    int found = -1;
    for (int i = 0; i < s->output_count; i++)
        if (last_dim(&s->outputs[i]) == width) {
            if (found >= 0)
                return -1;
            found = i;
        }
    return found;
}

static bool bind_outputs(const struct signature *s, struct binding *out, const int64_t *widths, int count) {
    for (int i = 0; i < count; i++) {
        out->outputs[i] = output_ending(s, widths[i]);
        if (out->outputs[i] < 0 || s->outputs[out->outputs[i]].rank != 3)
            return false;
    }
    return s->output_count == count;
}

static bool bind_scrfd(const struct signature *s, struct binding *out) {
    static const int64_t widths[] = {1, 4, 10};
    if (s->output_count != 9 || out->width != out->height)
        return false;
    for (int i = 0; i < 9; i++) {
        const struct tensor_shape *shape = &s->outputs[i];
        if (last_dim(shape) != widths[i / 3] || (shape->rank != 2 && shape->rank != 3))
            return false;
        out->outputs[i] = i;
    }
    return true;
}

static bool bind_detect(const struct signature *s, struct binding *out) {
    if (s->input_count != 1 || !bind_picture(&s->inputs[0], 3, 0, out) || out->batch > 1)
        return false;
    if (bind_outputs(s, out, (const int64_t[]){16, 1}, 2)) {
        out->kind = NETWORK_BLAZEFACE;
        return out->width == out->height && (out->width == 128 || out->width == 256) &&
               FITS(&s->outputs[out->outputs[0]], FREE, 896, 16) && FITS(&s->outputs[out->outputs[1]], FREE, 896, 1);
    }
    out->kind = NETWORK_RETINAFACE;
    if (bind_outputs(s, out, (const int64_t[]){4, 2, 10}, 3))
        return true;
    out->kind = NETWORK_SCRFD;
    return bind_scrfd(s, out);
}

static bool bind_mesh(const struct signature *s, struct binding *out) {
    out->kind = NETWORK_MESH;
    if (s->input_count != 1 || s->output_count != 2 || !bind_picture(&s->inputs[0], 3, 0, out) || out->batch > 1)
        return false;
    int landmarks = item_size(&s->outputs[0]) == 468 * 3 ? 0 : 1;
    out->outputs[0] = landmarks;
    out->outputs[1] = 1 - landmarks;
    return out->width == 192 && out->height == 192 && item_size(&s->outputs[landmarks]) == 468 * 3 &&
           item_size(&s->outputs[1 - landmarks]) == 1;
}

static bool bind_enhance(const struct signature *s, struct binding *out) {
    out->kind = NETWORK_ENHANCE;
    return s->input_count == 1 && s->output_count == 1 && bind_picture(&s->inputs[0], 3, 0, out) && out->batch <= 1 &&
           out->width == 0 && out->height == 0 && FITS(&s->outputs[0], FREE, 3, FREE, FREE);
}

static const struct {
    const char *role, *wanted;
    bool (*bind)(const struct signature *, struct binding *);
} roles[] = {
    {"lips", "inputs [B,1,80,16] (mel) and [B,6,S,S] (faces) with S 96, 256, 288 or 384, and an output [B,3,S,S]",
     bind_lips},
    {"detect",
     "an input [1,3,H,W] and the outputs of BlazeFace ([1,896,16] and [1,896,1], H=W=128 or 256), of "
     "RetinaFace ([1,N,4], "
     "[1,N,2] and [1,N,10]) or of SCRFD with keypoints (three [N,1], three [N,4], three [N,10], in that "
     "order)",
     bind_detect},
    {"mesh", "an input [1,3,192,192] and outputs [1,468,3] (landmarks) and [1,1] (presence)", bind_mesh},
    {"enhance", "an input [1,3,H,W] with free H and W, and an output [1,3,scale*H,scale*W]", bind_enhance},
};

static void append_shapes(struct buffer *text, const struct tensor_shape *shapes, int count) {
    for (int i = 0; i < count; i++) {
        buffer_appendf(text, "%s%s [", i ? ", " : " ", shapes[i].name);
        for (int d = 0; d < shapes[i].rank; d++)
            if (shapes[i].dims[d] < 0)
                buffer_append_text(text, d ? ",?" : "?");
            else
                buffer_appendf(text, "%s%lld", d ? "," : "", (long long)shapes[i].dims[d]);
        buffer_append_text(text, "]");
    }
}

/* The roles' code gives and takes float32. */
static bool check_types(const struct tensor_shape *tensors, int count, struct error *err) {
    for (int i = 0; i < count; i++)
        if (tensors[i].type != TENSOR_FLOAT32)
            return error_set(err, ERR_MODEL_INVALID, "%s is no float32 tensor but %s; export the model in float32",
                             tensors[i].name, tensor_type_name(tensors[i].type));
    return true;
}

bool bind_role(const char *role, const struct signature *signature, struct binding *out, struct error *err) {
    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
        if (strcmp(roles[i].role, role) != 0)
            continue;
        *out = (struct binding){0};
        if (!check_types(signature->inputs, signature->input_count, err) ||
            !check_types(signature->outputs, signature->output_count, err))
            return false;
        if (roles[i].bind(signature, out))
            return true;
        _cleanup_buffer_ struct buffer found = {0};
        buffer_append_text(&found, "inputs");
        append_shapes(&found, signature->inputs, signature->input_count);
        buffer_append_text(&found, "; outputs");
        append_shapes(&found, signature->outputs, signature->output_count);
        return error_set(err, ERR_MODEL_INVALID, "this network does not fit the role %s, which wants %s; found %s",
                         role, roles[i].wanted, found.data);
    }
    return error_set(err, ERR_MODEL_INVALID, "\"%s\" is no role: use lips, detect, mesh or enhance", role);
}
