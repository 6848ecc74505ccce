/* Threads that can be refused, and that gdb, top and perf show by name. */
#pragma once

#include <pthread.h>

#include "base/error.h"

/* Runs `run(context)` in a new thread. The caller joins *thread exactly once; `context` must outlive the thread. `name`
 * is what gdb and top show, cut to the 15 characters that Linux keeps. False with internal when the system refuses the
 * thread (its limit of threads or of memory is reached): then nothing runs, and *thread must not be joined. */
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context,
                  struct error *err) must_check;
