#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"

/* Runs in the child, which has only the thread that forked: another one may have held a lock of malloc or stdio, so
 * only async-signal-safe calls are made. When exec fails errno goes to the parent through the pipe `report`; when it
 * succeeds the pipe closes itself, and the parent reads nothing. */
static _Noreturn void child_become(const char *const *argv, int output, pid_t parent, int report) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int input = open("/dev/null", O_RDONLY);
    dup2(input, STDIN_FILENO);
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    if (getppid() == parent) /* else the parent died before the death signal was set */
        execvp(argv[0], (char *const *)(uintptr_t)argv);
    int reason = errno;
    ssize_t ignored = write(report, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

pid_t child_start(const char *const *argv, const char *log_path, struct error *err) {
    _cleanup_close_ int output = log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (log_path && output < 0) {
        error_set_errno(err, ERR_IO, errno, "cannot write %s", log_path);
        return -1;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        error_set_errno(err, ERR_CHILD_FAILED, errno, "cannot start %s", argv[0]);
        return -1;
    }
    _cleanup_close_ int report_read = ends[0];
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        child_become(argv, output, parent, ends[1]);
    int reason = errno;
    close(ends[1]);
    if (pid > 0 && read(report_read, &reason, sizeof reason) != (ssize_t)sizeof reason)
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    error_set_errno(err, ERR_CHILD_FAILED, reason, "cannot start %s", argv[0]);
    return -1;
}

bool child_wait(pid_t pid, int timeout_ms, int *status) {
    const struct clock *clock = clock_system();
    int64_t deadline = clock_monotonic_ms(clock) + timeout_ms;
    for (;;) {
        pid_t got = waitpid(pid, status, timeout_ms < 0 ? 0 : WNOHANG);
        if (got == pid || (got < 0 && errno == ECHILD))
            return true;
        if (timeout_ms >= 0 && clock_monotonic_ms(clock) >= deadline)
            return false;
        if (timeout_ms >= 0)
            clock_sleep_ms(clock, 10); /* waitpid knows no time limit */
    }
}

int child_stop(pid_t pid, int grace_ms) {
    int status = 0;
    kill(pid, SIGTERM);
    if (!child_wait(pid, grace_ms, &status)) {
        kill(pid, SIGKILL);
        child_wait(pid, -1, &status);
    }
    return status;
}
