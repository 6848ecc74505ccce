/* A temporary directory for one test. */
#pragma once

#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

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

#define SCRATCH_TEST(function) cmocka_unit_test_setup_teardown(function, directory_setup, directory_teardown)
