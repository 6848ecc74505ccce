/* Child processes that die with their parent. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* Starts argv[0] (looked up on PATH) with stdin from /dev/null; stdout and stderr go to `log_path` (appended)
 * or are inherited when it is NULL. When the parent dies the child gets SIGTERM. It is a process
 * group of its own: Ctrl-C on the terminal reaches the parent only, which stops its children in order.
 * Returns the pid, or -1 with child.failed. */
pid_t child_start(const char *const *argv, const char *log_path, struct error *err) must_check;
/* Waits up to `timeout_ms` (-1: for ever). True when it ended; *status then is as from waitpid. */
bool child_wait(pid_t pid, int timeout_ms, int *status);
/* SIGTERM, up to `grace_ms` of waiting, then SIGKILL; reaps the child. Returns its status. */
int child_stop(pid_t pid, int grace_ms);
