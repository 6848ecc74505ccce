#include "worker/executor_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/memory.h"

enum {
    KILL_AFTER_MS = 500, /* from SIGTERM, which an executor does not handle, to SIGKILL, for one that is stuck */
    CLOSE_MS = 1000,
};

/* What an executor is told of the environment: where libraries and cards are, and nothing of Redis or the store. */
static const char *const passed_on[] = {"PATH",
                                        "HOME",
                                        "TMPDIR",
                                        "TZ",
                                        "LD_LIBRARY_PATH",
                                        "LD_PRELOAD",
                                        "LANG",
                                        "OMP_NUM_THREADS",
                                        "CUDA_VISIBLE_DEVICES",
                                        "CUDA_CACHE_PATH",
                                        "NVIDIA_VISIBLE_DEVICES",
                                        "NVIDIA_DRIVER_CAPABILITIES",
                                        "ORT_DISABLE_TELEMETRY",
                                        "ASAN_OPTIONS",
                                        "UBSAN_OPTIONS",
                                        "TSAN_OPTIONS",
                                        "LSAN_OPTIONS",
                                        "MALLOC_PERTURB_"};

static char **executor_environment(int wire) {
    char **environment = xcalloc(ARRAY_LENGTH(passed_on) + 2, sizeof *environment);
    size_t count = 0;
    environment[count++] = xasprintf(WIRE_VARIABLE "=%d", wire);
    for (size_t i = 0; i < ARRAY_LENGTH(passed_on); i++)
        if (getenv(passed_on[i]))
            environment[count++] = xasprintf("%s=%s", passed_on[i], getenv(passed_on[i]));
    return environment;
}

static void executor_environment_free(char ***environment) {
    for (char **entry = *environment; *entry; entry++)
        free(*entry);
    free(*environment);
}

bool executor_process_start(struct executor_process *process, const char *const *argv, struct error *err) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot make an executor's wire");
    _cleanup_close_ int theirs = ends[1];
    _cleanup_(executor_environment_free) char **environment = executor_environment(theirs);
    *process = (struct executor_process){.wire = {.socket = ends[0], .longest = WIRE_FROM_EXECUTOR_MAX}};
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct child_options options = {
        .keep = &theirs, .keep_count = 1, .death_signal = SIGKILL, .environment = (const char *const *)environment};
    pid_t pid = child_start(argv, &options, err);
    process->pid = MAX(pid, 0);
    if (pid < 0)
        wire_close(&process->wire);
    return pid > 0;
}

static void executor_process_forget(struct executor_process *process) {
    wire_close(&process->wire);
    *process = (struct executor_process){.wire = {.socket = -1}};
}

bool executor_process_reap(struct executor_process *process, struct executor_end *end) {
    if (process->pid == 0 || wait4(process->pid, &end->status, WNOHANG, &end->usage) != process->pid)
        return false;
    end->was_ready = process->ready;
    end->said_why = process->said_why;
    executor_process_forget(process);
    return true;
}

void executor_process_end(struct executor_process *process, int64_t grace_ms) {
    if (process->pid == 0 || process->term_ms)
        return;
    process->term_ms = clock_monotonic_ms(clock_system()) + grace_ms;
    process->kill_ms = process->term_ms + KILL_AFTER_MS;
}

void executor_process_spare(struct executor_process *process) {
    if (!process->hung_up)
        process->term_ms = process->kill_ms = 0;
}

void executor_process_push(struct executor_process *process) {
    int64_t now = clock_monotonic_ms(clock_system());
    if (process->pid == 0 || !process->term_ms || now < process->term_ms)
        return;
    kill(process->pid, now < process->kill_ms ? SIGTERM : SIGKILL);
}

void executor_process_close(struct executor_process *process) {
    if (process->pid == 0)
        return;
    wire_close(&process->wire); /* which an idle one takes as its end */
    if (!child_wait(process->pid, CLOSE_MS, NULL))
        child_stop(process->pid, 0);
    executor_process_forget(process);
}

char *executor_end_describe(const struct executor_end *end) {
    const struct rusage *usage = &end->usage;
    double seconds = (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
                     (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
    _cleanup_free_ char *how =
        WIFSIGNALED(end->status) ? xasprintf("signal %d (%s)", WTERMSIG(end->status), strsignal(WTERMSIG(end->status)))
                                 : xasprintf("exit code %d", WEXITSTATUS(end->status));
    return xasprintf("%s, %ld MB at most, %.1f s of processor time", how, usage->ru_maxrss / 1024, seconds);
}
