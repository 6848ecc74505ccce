#include "scale/local.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "scale/demand.h"

enum {
    RETRY_MS = 1000, /* while Redis does not answer */
    CALM_MS = 200, /* shortest time between two looks at the queue, so that a stream of progress events costs little */
    PAUSE_FIRST_MS = 1000, /* before a worker that failed is started again; doubles */
    PAUSE_MAX_MS = 60000,
    HEALTHY_MS = 60000, /* a worker that lived this long did not fail at its start */
    LOG_MAX = 10 << 20, /* bytes; then the log is moved aside */
};

/* ---- the watcher: a thread that turns events of the queue into a number of workers ---- */

struct watcher {
    const struct local_scale_options *options;
    atomic_int wanted; /* workers */
    atomic_bool stop;
    int wake; /* eventfd: `wanted` changed */
    pthread_t thread;
};

/* Over all pools together: every local worker serves them all. */
static bool ask_rule(const struct local_scale_options *options, struct queue *queue, int *wanted, struct error *err) {
    struct scale_demand sum = {0};
    for (enum pool pool = 0; pool < POOL_COUNT; pool++) {
        struct pool_counts counts;
        if (!queue_pool_counts(queue, pool, options->cooldown_ms, &counts, err))
            return false;
        struct scale_demand demand = scale_demand_of(&counts);
        scale_demand_add(&sum, &demand);
    }
    struct scale_rule rule = *options->rule;
    rule.max = options->cap;
    *wanted = scale_desired(&rule, &sum).total;
    return true;
}

static void tell(struct watcher *watcher, int wanted) {
    uint64_t one = 1;
    if (atomic_exchange(&watcher->wanted, wanted) != wanted && write(watcher->wake, &one, sizeof one) < 0)
        log_write(NULL, LOG_ERROR, "cannot wake the autoscaler: %s", strerror(errno));
}

/* One look at the queue, then a wait for the next event. */
static bool look(struct watcher *watcher, struct queue *queue, char last[EVENT_ID_MAX], struct error *err) {
    int wanted;
    if (!ask_rule(watcher->options, queue, &wanted, err))
        return false;
    tell(watcher, wanted);
    clock_sleep_ms(clock_system(), CALM_MS);
    return demand_wait(queue, last, err);
}

static void *watch(void *context) {
    struct watcher *watcher = context;
    _cleanup_queue_ struct queue *queue = NULL;
    char last[EVENT_ID_MAX] = "0";
    for (bool answering = true; !atomic_load(&watcher->stop);) {
        struct error err;
        bool ok = (queue || (queue = queue_open(&watcher->options->queue, &err))) && look(watcher, queue, last, &err);
        if (ok != answering)
            log_write(NULL, ok ? LOG_INFO : LOG_ERROR, "autoscaler: %s", ok ? "Redis answers again" : err.message);
        answering = ok;
        if (ok)
            continue;
        snprintf(last, sizeof last, "0"); /* it may be another Redis, with events of its own */
        clock_sleep_ms(clock_system(), RETRY_MS);
    }
    return NULL;
}

/* ---- the workers ---- */

struct slot {
    pid_t pid; /* 0: no worker */
    int64_t started_ms, not_before_ms;
    int failures; /* in a row */
};

struct scaler {
    const struct local_scale_options *options;
    struct slot *slots;
    struct watcher watcher;
    int stopping; /* signals to stop so far */
};

static int64_t now_ms(void) { return clock_monotonic_ns(clock_system()) / 1000000; }

static char *log_path(const struct scaler *scaler, int index) {
    return xasprintf("%s/worker-%d.log", scaler->options->log_directory, index + 1);
}

static void rotate_log(const char *path) {
    struct stat info;
    _cleanup_free_ char *old = xasprintf("%s.1", path);
    if (stat(path, &info) == 0 && info.st_size > LOG_MAX && rename(path, old) != 0)
        log_write(NULL, LOG_WARN, "cannot move %s aside: %s", path, strerror(errno));
}

/* The last line of a log, for the reason of a worker's end. Caller frees. */
static char *last_line(const char *path) {
    char tail[2049];
    _cleanup_fclose_ FILE *file = fopen(path, "rbe");
    if (!file)
        return xstrdup("its log cannot be read");
    if (fseek(file, -(long)(sizeof tail - 1), SEEK_END) != 0)
        rewind(file);
    size_t length = fread(tail, 1, sizeof tail - 1, file);
    while (length > 0 && tail[length - 1] == '\n')
        length--;
    tail[length] = '\0';
    char *line = strrchr(tail, '\n');
    return length ? xstrdup(line ? line + 1 : tail) : xstrdup("it logged nothing");
}

static void fail(struct scaler *scaler, int index, const char *reason) {
    struct slot *slot = &scaler->slots[index];
    int pause = PAUSE_FIRST_MS << MIN(slot->failures, 6);
    slot->failures++;
    slot->not_before_ms = now_ms() + MIN(pause, PAUSE_MAX_MS);
    log_write(NULL, LOG_ERROR, "worker %d %s; next try in %d s", index + 1, reason, MIN(pause, PAUSE_MAX_MS) / 1000);
}

/* Each worker of several cards sees only its own, as cuda:0. */
static void start_worker(struct scaler *scaler, int index) {
    const struct local_scale_options *options = scaler->options;
    char unique[7]; /* a job that ends several workers is known by their different ids */
    random_text(unique, sizeof unique - 1);
    _cleanup_free_ char *log = log_path(scaler, index), *id = xasprintf("local-%d-%s", index + 1, unique);
    _cleanup_free_ char *card = xasprintf("CUDA_VISIBLE_DEVICES=%d", options->gpus > 1 ? index % options->gpus : 0);
    size_t count = 0, at = 0;
    while (options->worker[count])
        count++;
    _cleanup_free_ const char **argv = xcalloc(count + 5, sizeof *argv);
    if (options->gpus > 1) {
        argv[at++] = "env";
        argv[at++] = card;
    }
    memcpy(argv + at, options->worker, count * sizeof *argv);
    at += count;
    argv[at++] = "--id";
    argv[at] = id;
    rotate_log(log);
    struct error err;
    pid_t pid = child_start(argv, log, &err);
    if (pid < 0) {
        fail(scaler, index, err.message);
        return;
    }
    scaler->slots[index].pid = pid;
    scaler->slots[index].started_ms = now_ms();
    log_write(NULL, LOG_INFO, "worker %d started (pid %d, log %s)", index + 1, (int)pid, log);
}

static void worker_ended(struct scaler *scaler, int index, int status) {
    struct slot *slot = &scaler->slots[index];
    slot->pid = 0;
    if (now_ms() - slot->started_ms >= HEALTHY_MS)
        slot->failures = 0;
    if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || scaler->stopping) {
        slot->failures = 0;
        log_write(NULL, LOG_INFO, "worker %d ended", index + 1);
        return;
    }
    _cleanup_free_ char *log = log_path(scaler, index), *line = last_line(log);
    _cleanup_free_ char *reason =
        WIFSIGNALED(status) ? xasprintf("was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)))
                            : xasprintf("ended with status %d: %s", WEXITSTATUS(status), line);
    fail(scaler, index, reason);
}

/* Takes note of workers that ended; returns how many live. */
static int reap(struct scaler *scaler) {
    int living = 0;
    for (int i = 0; i < scaler->options->cap; i++) {
        int status = 0;
        if (scaler->slots[i].pid && waitpid(scaler->slots[i].pid, &status, WNOHANG) != 0)
            worker_ended(scaler, i, status);
        living += scaler->slots[i].pid != 0;
    }
    return living;
}

/* Starts what the rule asks for; returns how long to sleep at most (-1: until something happens). */
static int adjust(struct scaler *scaler) {
    int missing = atomic_load(&scaler->watcher.wanted) - reap(scaler);
    int64_t now = now_ms(), next = INT64_MAX;
    for (int i = 0; i < scaler->options->cap && missing > 0; i++) {
        struct slot *slot = &scaler->slots[i];
        if (slot->pid)
            continue;
        if (slot->not_before_ms <= now) {
            start_worker(scaler, i);
            missing--;
        }
        if (!slot->pid)
            next = MIN(next, slot->not_before_ms);
    }
    return next == INT64_MAX || missing <= 0 ? -1 : (int)MAX(next - now, 1);
}

static void kill_workers(const struct scaler *scaler, int number) {
    for (int i = 0; i < scaler->options->cap; i++)
        if (scaler->slots[i].pid)
            kill(scaler->slots[i].pid, number);
}

/* Sleeps until a worker ends, the queue changes or a signal comes; counts signals to stop. */
static void sleep_until_something(struct scaler *scaler, int timeout_ms) {
    struct pollfd waits[] = {{scaler->options->signals, POLLIN, 0}, {scaler->watcher.wake, POLLIN, 0}};
    if (poll(waits, 2, timeout_ms) <= 0)
        return;
    uint64_t count;
    struct signalfd_siginfo info;
    if (waits[1].revents && read(scaler->watcher.wake, &count, sizeof count) < 0)
        log_write(NULL, LOG_WARN, "autoscaler: %s", strerror(errno));
    if (!waits[0].revents || read(scaler->options->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo != SIGCHLD)
        scaler->stopping++;
    else if (scaler->options->child_ended)
        scaler->options->child_ended(scaler->options->context);
}

static void drain(struct scaler *scaler) {
    int64_t deadline = now_ms() + scaler->options->grace_ms;
    int living = reap(scaler);
    if (living)
        log_write(NULL, LOG_INFO, "stopping: %d workers finish or give back their jobs (again to stop at once)",
                  living);
    kill_workers(scaler, SIGTERM);
    while (reap(scaler) > 0) {
        if (scaler->stopping > 1 || now_ms() >= deadline)
            kill_workers(scaler, SIGKILL);
        sleep_until_something(scaler, (int)CLAMP(deadline - now_ms(), 50, 60000));
    }
}

bool local_scale_run(const struct local_scale_options *options, struct error *err) {
    if (!directory_make(options->log_directory, err))
        return false;
    _cleanup_close_ int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    _cleanup_free_ struct slot *slots = xnew_array(struct slot, options->cap + 1);
    struct scaler scaler = {options, slots, {.options = options, .wake = wake}, 0};
    int failed = wake < 0 ? errno : pthread_create(&scaler.watcher.thread, NULL, watch, &scaler.watcher);
    if (failed)
        return error_set_errno(err, ERR_INTERNAL, failed, "cannot start the autoscaler");
    while (!scaler.stopping)
        sleep_until_something(&scaler, adjust(&scaler));
    atomic_store(&scaler.watcher.stop, true);
    drain(&scaler);
    pthread_join(scaler.watcher.thread, NULL);
    return true;
}
