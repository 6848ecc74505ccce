/* Child processes that die with their parent. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* Starts argv[0] (looked up on PATH) with stdin from /dev/null; stdout and stderr go to `log_path` (appended) or are
 * inherited when it is NULL. The child gets SIGTERM when the thread that called this ends, as Linux has it; so call
 * from one that lives until the child is stopped. The child is a process group of its own: Ctrl-C on the terminal
 * reaches the parent only, which stops its children in order. Returns the pid, for child_wait or child_stop; -1 with
 * child.failed, or io when the log cannot be written. */
pid_t child_start(const char *const *argv, const char *log_path, struct error *err) must_check;
/* Waits up to `timeout_ms` (-1: for ever) and reaps the child. True when it ended; *status is then as from waitpid, and
 * unchanged if somebody else has reaped it. */
bool child_wait(pid_t pid, int timeout_ms, int *status);
/* SIGTERM, up to `grace_ms` of waiting, then SIGKILL; reaps the child. Returns its status, as from waitpid. */
int child_stop(pid_t pid, int grace_ms);
