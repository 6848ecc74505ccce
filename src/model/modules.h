/* The modules of a network that was exported from torch, and where the weight of each lies in its ONNX file: linear
 * layers and convolutions by their names in torch, which exporters do not keep. The table is read from the graph
 * whenever it is asked for, in milliseconds, so it cannot grow stale beside its model. */
#pragma once

#include "model/session.h"

struct module {
    char *name;                   /* prefix and path: "unet.down_blocks.1.attentions.0.proj_in" */
    int64_t rows, columns;        /* outputs; inputs, of a convolution times its kernel */
    bool transposed;              /* lies as [columns][rows], as a MatMul has it; else [rows][columns] */
    struct session_weight weight; /* what session_open_with takes in its place; its data is NULL */
};

struct modules;
/* Reads the graph of the ONNX file at `path`. A weight that serves two modules is left out, since who changes one
 * changes the other, and so is one that is neither float32 nor float16. `prefix`: "unet". model.not_found,
 * model.invalid, io. The caller closes it. */
struct modules *modules_open(const char *path, const char *prefix, struct error *err) must_check;
void modules_close(struct modules *modules);
DEFINE_CLEANUP(struct modules *, modules_close)
#define _cleanup_modules_ _cleanup_(modules_close_cleanup)

/* How many there are. */
size_t modules_count(const struct modules *modules);
/* Borrowed. */
const struct module *modules_get(const struct modules *modules, size_t index);
/* How many weights were left out because two modules share each. */
size_t modules_shared(const struct modules *modules);
/* A file besides the ONNX file that the network needs, as a path from its folder: 0 is the first; NULL: there are no
 * more. Borrowed. */
const char *modules_file(const struct modules *modules, size_t index);
/* All weights of the network, of whatever use: how many numbers, and as how many bytes. */
struct weight_sum {
    int64_t numbers, bytes;
};
struct weight_sum modules_sum(const struct modules *modules);
/* Bytes of the module's weight. */
size_t module_bytes(const struct module *module);
/* Copies the weight as the file has it to `out`. io; model.invalid when the file is too short. */
bool modules_read(const struct modules *modules, size_t index, void *out, struct error *err) must_check;
