/* Starting threads: checked, and under a name that gdb, top and perf show. */
#pragma once

#include <pthread.h>

#include "base/error.h"

/* Starts `run(context)` in a thread of its own, which the caller joins. `name`: at most 15 characters, what the kernel
 * keeps. False with internal when the system refuses another thread: nothing runs then, and there is nothing to join.
 */
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context,
                  struct error *err) must_check;
