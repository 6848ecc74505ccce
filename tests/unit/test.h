/* What every unit test includes: cmocka and what it needs, and assertions on struct error. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

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

/* The expression fails with this code and a message that holds `text`. */
#define assert_error(expression, wanted, text, err)                                                                    \
    do {                                                                                                               \
        assert_code(expression, wanted, err);                                                                          \
        if (!strstr((err).message, (text)))                                                                            \
            fail_msg("\"%s\" does not say \"%s\"", (err).message, (text));                                             \
    } while (0)
