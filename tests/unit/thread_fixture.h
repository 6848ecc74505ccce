/* A system that refuses threads. */
#pragma once

#include "test.h"

#include <pthread.h>

/* From here on, until threads_allow, every thread without a stack size of its own is refused, as one over the limit is.
 */
static inline pthread_attr_t threads_refuse(void) {
    pthread_attr_t usual, huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
    return usual;
}

static inline void threads_allow(pthread_attr_t usual) {
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&usual);
}
