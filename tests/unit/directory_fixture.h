/* A temporary directory for one test, in $TMPDIR: script/test looks there for what tests leave behind. */
#pragma once

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* The caller removes it with tree_remove() and frees the path. */
static inline char *directory_for_test(void) {
    struct error err;
    const char *parent = getenv("TMPDIR");
    char *path = directory_make_temporary(parent ? parent : "/tmp", "mela-test", &err);
    assert_ok(path, err);
    return path;
}

static inline int directory_setup(void **state) {
    *state = directory_for_test();
    return 0;
}

static inline int directory_teardown(void **state) {
    tree_remove(*state);
    free(*state);
    return 0;
}

#define SCRATCH_TEST(function) cmocka_unit_test_setup_teardown(function, directory_setup, directory_teardown)
