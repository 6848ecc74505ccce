/* One network loaded into ONNX Runtime. */
#pragma once

#include <stdint.h>

#include "model/device.h"
#include "model/tensor.h"

enum {
    TENSOR_RANK_MAX = 6,
    SESSION_IO_MAX = 48, /* SDXL's second text encoder has 35 outputs */
};

struct tensor_shape {
    char name[128];
    enum tensor_type type;
    int rank;                      /* 0: one number */
    int64_t dims[TENSOR_RANK_MAX]; /* -1: free */
};

struct session;
/* Loads an .onnx file; the optimised graph is cached in `cache_directory` (NULL: not). The caller closes the session,
 * which one thread at a time may run. model.not_found, model.invalid, model.device, model.run, io. */
struct session *session_open(const char *path, const struct device *device, const char *cache_directory,
                             struct error *err) must_check;
/* A weight that takes the place of the file's initializer of that name, type and shape. */
struct session_weight {
    const char *name;
    enum tensor_type type;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    void *data;
};
/* The same with other weights, on every device: they are in the graph before it is optimised. They are borrowed for the
 * call; the graph is not cached. model.invalid when the file has no such initializer. */
struct session *session_open_with(const char *path, const struct device *device, const struct session_weight *weights,
                                  size_t count, struct error *err) must_check;
void session_close(struct session *session);
DEFINE_CLEANUP(struct session *, session_close)
#define _cleanup_session_ _cleanup_(session_close_cleanup)
/* The tensors as the file declares them; shapes are borrowed. */
int session_input_count(const struct session *session);
int session_output_count(const struct session *session);
const struct tensor_shape *session_input(const struct session *session, int index);
const struct tensor_shape *session_output(const struct session *session, int index);

/* A tensor in host memory, owned by the caller, with its full shape. Its elements have the type that the network
 * declares. */
struct tensor {
    void *data;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
};
/* Runs the network: inputs and outputs by index; outputs are written into the caller's memory, without a copy. An
 * output whose data is NULL is not computed. model.run. */
bool session_run(struct session *session, const struct tensor *inputs, struct tensor *outputs,
                 struct error *err) must_check;
/* Runs once on these inputs and returns the full shapes of what comes out, by index: a file may leave them free.
 * model.run, model.invalid. */
bool session_probe(struct session *session, const struct tensor *inputs, struct tensor_shape *outputs,
                   struct error *err) must_check;
/* ONNX Runtime's own version, such as "1.29.0". Static. */
const char *session_runtime_version(void);
