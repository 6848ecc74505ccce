/* Inside the model room only: which tensor of a network is what, found by rank and shape. */
#pragma once

#include "model/session.h"

enum network_kind { NETWORK_LIPS, NETWORK_BLAZEFACE, NETWORK_RETINAFACE, NETWORK_SCRFD, NETWORK_MESH, NETWORK_ENHANCE };

/* The tensors of a network as its file declares them. */
struct signature {
    const struct tensor_shape *inputs, *outputs;
    int input_count, output_count;
};

struct binding {
    enum network_kind kind;
    int batch;         /* 0: free */
    int width, height; /* of the picture; 0: free */
    int picture, mel;  /* indexes of inputs */
    /* Indexes of outputs. lips, enhance: picture. blazeface: boxes, scores. retinaface: boxes, scores,
     * landmarks. scrfd: scores, boxes and landmarks of strides 8, 16, 32 each. mesh: landmarks, presence. */
    int outputs[9];
};

/* Borrowed of the session. */
struct signature signature_of(const struct session *session);
/* Finds which tensor of a network is what for the role "lips", "detect", "mesh" or "enhance". model.invalid names the
 * shapes that were found and those that are wanted. */
bool bind_role(const char *role, const struct signature *signature, struct binding *out, struct error *err) must_check;
