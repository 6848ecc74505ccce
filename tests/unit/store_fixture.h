/* A temporary directory for one test, and assertions on struct error. */
#pragma once

#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* Fails the test with the error's message. */
#define assert_ok(expression, err)                                                                                     \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s: %s", #expression, error_name((err).code), (err).message);                                \
    } while (0)

/* The expression fails with this code. */
#define assert_code(expression, wanted, err)                                                                           \
    do {                                                                                                               \
        (err).code = ERR_NONE;                                                                                         \
        assert_false(expression);                                                                                      \
        if ((err).code != (wanted))                                                                                    \
            fail_msg("%s: %s: %s", #expression, error_name((err).code), (err).message);                                \
    } while (0)

static inline int directory_setup(void **state) {
    struct error err;
    *state = directory_make_temporary("/tmp", "mela-test", &err);
    return *state ? 0 : -1;
}

static inline int directory_teardown(void **state) {
    tree_remove(*state);
    free(*state);
    return 0;
}
