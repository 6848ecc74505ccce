/* What the tests of the model room share: a scratch directory, the zoo of the source tree, assertions on
 * errors. */
#pragma once

#include "test.h"

#include "base/memory.h"
#include "model/model.h"
#include "onnx_fixture.h"

#define MANIFESTS SOURCE_ROOT "/models"
#define WEIGHTS SOURCE_ROOT "/.deps/models"

#define assert_ok(expression, err)                                                                                     \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s", error_name((err).code), (err).message);                                                 \
    } while (0)

#define assert_error(expression, wanted, text, err)                                                                    \
    do {                                                                                                               \
        assert_false(expression);                                                                                      \
        assert_int_equal((err).code, (wanted));                                                                        \
        if (!strstr((err).message, (text)))                                                                            \
            fail_msg("\"%s\" does not say \"%s\"", (err).message, (text));                                             \
    } while (0)

static const struct device cpu = {.kind = DEVICE_CPU, .threads = 2};

static inline int scratch_make(void **state) {
    struct error err;
    *state = directory_make_temporary("/tmp", "mela-test-model", &err);
    return *state ? 0 : -1;
}

static inline int scratch_remove(void **state) {
    tree_remove(*state);
    free(*state);
    return 0;
}

#define SCRATCH_TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

static inline char *scratch_path(void **state, const char *name) { return xasprintf("%s/%s", (char *)*state, name); }

/* The shipped manifests and the weights that setup fetched. */
static inline struct zoo *shipped_zoo(void) {
    struct error err;
    struct zoo *zoo = zoo_open(MANIFESTS, WEIGHTS, &err);
    assert_ok(zoo, err);
    return zoo;
}
