/* What the tests of the model room share: the zoo of the source tree. */
#pragma once

#include "directory_fixture.h"
#include "model/model.h"
#include "onnx_fixture.h"

#define MANIFESTS SOURCE_ROOT "/models"
#define WEIGHTS SOURCE_ROOT "/.deps/models"

static const struct device cpu = {.kind = DEVICE_CPU, .threads = 2};

static inline char *scratch_path(void **state, const char *name) { return xasprintf("%s/%s", (char *)*state, name); }

/* The shipped manifests and the weights that setup fetched. */
static inline struct zoo *shipped_zoo(void) {
    struct error err;
    struct zoo *zoo = zoo_open(MANIFESTS, WEIGHTS, &err);
    assert_ok(zoo, err);
    return zoo;
}
