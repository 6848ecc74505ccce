#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { FIRST_OTHER = STDERR_FILENO + 1 };

/* What the child needs to know; all of it is made before the fork. */
struct child_plan {
    const char *const *argv;
    const struct child_options *options;
    int output; /* -1: stdout and stderr stay */
    int report; /* errno of a failed exec goes there */
    pid_t parent;
};

/* Libraries open descriptors without O_CLOEXEC (hiredis its sockets), so all are closed at exec, not only our own. A
 * kernel before 5.11 cannot do it in one step; a mark on a number that is not open fails without harm. */
static void child_keep_only(const int *keep, size_t count) {
    if (close_range(FIRST_OTHER, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
        struct rlimit limit = {0};
        getrlimit(RLIMIT_NOFILE, &limit);
        for (int descriptor = FIRST_OTHER; (rlim_t)descriptor < MIN(limit.rlim_cur, INT_MAX); descriptor++)
            fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
    for (size_t i = 0; i < count; i++)
        fcntl(keep[i], F_SETFD, 0);
}

static void child_take_output(int output) {
    int input = open("/dev/null", O_RDONLY);
    dup2(input, STDIN_FILENO);
    if (output < 0)
        return;
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
}

/* Runs in the child, which has only the thread that forked: another one may have held a lock of malloc or stdio, so
 * only async-signal-safe calls are made. When exec fails errno goes to the parent through the pipe `report`; when it
 * succeeds the pipe closes itself, and the parent reads nothing. */
static _Noreturn void child_become(const struct child_plan *plan) {
    const struct child_options *options = plan->options;
    const char *const *environment = options->environment ? options->environment : (const char *const *)environ;
    prctl(PR_SET_PDEATHSIG, options->death_signal ? options->death_signal : SIGTERM);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    child_take_output(plan->output);
    child_keep_only(options->keep, options->keep_count);
    if (getppid() == plan->parent) /* else the parent died before the death signal was set */
        execvpe(plan->argv[0], (char *const *)(uintptr_t)plan->argv, (char *const *)(uintptr_t)environment);
    int reason = errno;
    ssize_t ignored = write(plan->report, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

/* The pid; -1 when the child does not get as far as its program, with the reason in *reason. */
static pid_t child_launch(struct child_plan *plan, int *reason) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        *reason = errno;
        return -1;
    }
    _cleanup_close_ int report_read = ends[0];
    plan->report = ends[1];
    plan->parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_become(plan);
    *reason = errno;
    close(ends[1]);
    if (pid > 0 && read(report_read, reason, sizeof *reason) != (ssize_t)sizeof *reason)
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return -1;
}

pid_t child_start(const char *const *argv, const struct child_options *options, struct error *err) {
    static const struct child_options none;
    const char *log_path = options ? options->log_path : NULL;
    _cleanup_close_ int output = log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (log_path && output < 0) {
        error_set_errno(err, ERR_IO, errno, "cannot write %s", log_path);
        return -1;
    }
    int reason;
    struct child_plan plan = {.argv = argv, .options = options ? options : &none, .output = output};
    pid_t pid = child_launch(&plan, &reason);
    if (pid < 0)
        error_set_errno(err, ERR_CHILD_FAILED, reason, "cannot start %s", argv[0]);
    return pid;
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
