/* Child processes that die with their parent. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

struct child_options {
    const char *log_path; /* stdout and stderr are appended to it; NULL: they are the parent's */
    /* Descriptors that the child gets under the same numbers, all of them above 2; of the parent's it gets no others,
     * whether they are close-on-exec or not. The caller's own copies stay as they are. */
    const int *keep;
    size_t keep_count;
    const char *const *environment; /* "NAME=VALUE"..., NULL; NULL: the parent's. PATH is the parent's either way */
    int death_signal;               /* 0: SIGTERM */
};

/* Starts argv[0] (looked up on PATH) with stdin from /dev/null; `options` NULL is all of them 0. The child gets its
 * death signal when the *thread* that called this ends, as Linux has it, not the process: call from one that lives
 * until the child is stopped. The child is a process group of its own: Ctrl-C on the terminal reaches the parent only,
 * which stops its children in order. Returns the pid, for child_wait or child_stop; -1 with child.failed, or io when
 * the log cannot be written. */
pid_t child_start(const char *const *argv, const struct child_options *options, struct error *err) must_check;
/* Waits up to `timeout_ms` (-1: for ever) and reaps the child. True when it ended; *status is then as from waitpid, and
 * unchanged if somebody else has reaped it. */
bool child_wait(pid_t pid, int timeout_ms, int *status);
/* SIGTERM, up to `grace_ms` of waiting, then SIGKILL; reaps the child. Returns its status, as from waitpid. */
int child_stop(pid_t pid, int grace_ms);
