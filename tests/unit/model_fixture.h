/* What the tests of the model room share: a scratch directory, the zoo of the source tree, an assertion on errors. */
#pragma once

#include "directory_fixture.h"
#include "model/model.h"
#include "onnx_fixture.h"

#define MANIFESTS SOURCE_ROOT "/models"
#define WEIGHTS SOURCE_ROOT "/.deps/models"

/* The expression fails with this code and a message that holds `text`. */
#define assert_error(expression, wanted, text, err)                                                                    \
    do {                                                                                                               \
        assert_code(expression, wanted, err);                                                                          \
        if (!strstr((err).message, (text)))                                                                            \
            fail_msg("\"%s\" does not say \"%s\"", (err).message, (text));                                             \
    } while (0)

static const struct device cpu = {.kind = DEVICE_CPU, .threads = 2};

#define SCRATCH_TEST(function) cmocka_unit_test_setup_teardown(function, directory_setup, directory_teardown)

static inline char *scratch_path(void **state, const char *name) { return xasprintf("%s/%s", (char *)*state, name); }

/* The shipped manifests and the weights that setup fetched. */
static inline struct zoo *shipped_zoo(void) {
    struct error err;
    struct zoo *zoo = zoo_open(MANIFESTS, WEIGHTS, &err);
    assert_ok(zoo, err);
    return zoo;
}
