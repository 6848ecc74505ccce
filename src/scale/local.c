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
#include "base/thread.h"
#include "scale/demand.h"

enum {
    RETRY_MS = 1000, /* while Redis does not answer */
    CALM_MS = 200,   /* at least between two readings of the queue, so that a stream of progress events costs little */
    PAUSE_FIRST_MS = 1000, /* before a worker that failed is started again; doubles */
    PAUSE_MAX_MS = 60000,
    HEALTHY_MS = 60000, /* a worker that lived this long did not fail at its start */
    LOG_MAX = 10 << 20, /* bytes; then the log is moved aside */
};

/* ---- the watcher: a thread that turns events of the queue into a number of workers ---- */

struct watcher {
    const struct local_scale_options *options;
    atomic_int wanted; /* workers; written before `wake`, so whoever was woken reads the new number */
    atomic_bool stop;  /* a lone flag; the join orders the rest */
    int wake;          /* eventfd: `wanted` changed */
    pthread_t thread;
};

/* Over all pools together: every local worker serves them all. */
static bool watcher_ask_rule(const struct local_scale_options *options, struct queue *queue, int *wanted,
                             struct error *err) {
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

static void watcher_set_wanted(struct watcher *watcher, int wanted) {
    uint64_t one = 1;
    if (atomic_exchange(&watcher->wanted, wanted) != wanted && write(watcher->wake, &one, sizeof one) < 0)
        log_write(NULL, LOG_ERROR, "cannot wake the autoscaler: %s", strerror(errno));
}

/* Reads the queue once, then waits for the next event. */
static bool watcher_look(struct watcher *watcher, struct queue *queue, char last[EVENT_ID_MAX + 1], struct error *err) {
    int wanted;
    if (!watcher_ask_rule(watcher->options, queue, &wanted, err))
        return false;
    watcher_set_wanted(watcher, wanted);
    clock_sleep_ms(clock_system(), CALM_MS);
    return demand_wait(queue, last, err);
}

static void *watcher_run(void *context) {
    struct watcher *watcher = context;
    _cleanup_queue_ struct queue *queue = NULL;
    char last[EVENT_ID_MAX + 1] = "0";
    for (bool answering = true; !atomic_load(&watcher->stop);) {
        struct error err;
        if (!queue)
            queue = queue_open(&watcher->options->queue, &err);
        bool ok = queue && watcher_look(watcher, queue, last, &err);
        if (ok != answering)
            log_write(NULL, ok ? LOG_INFO : LOG_ERROR, "autoscaler: %s", ok ? "Redis answers again" : err.message);
        answering = ok;
        if (ok)
            continue;
        snprintf(last, sizeof last, "0"); /* it may be another Redis when it answers again, with events of its own */
        clock_sleep_ms(clock_system(), RETRY_MS);
    }
    return NULL;
}

/* ---- the workers, all of the calling thread ---- */

struct local_worker {
    pid_t pid; /* 0: no worker */
    int64_t started_ms, not_before_ms;
    int failures; /* in a row */
};

struct scaler {
    const struct local_scale_options *options;
    struct local_worker *workers;
    struct watcher watcher;
    int stopping; /* how many signals to stop have come */
};

static char *worker_log_path(const struct scaler *scaler, int index) {
    return xasprintf("%s/worker-%d.log", scaler->options->log_directory, index + 1);
}

static void worker_log_rotate(const char *path) {
    struct stat info;
    _cleanup_free_ char *old = xasprintf("%s.1", path);
    if (stat(path, &info) == 0 && info.st_size > LOG_MAX && rename(path, old) != 0)
        log_write(NULL, LOG_WARN, "cannot move %s aside: %s", path, strerror(errno));
}

/* The last line of a log, for the reason of a worker's end. Caller frees. */
static char *worker_log_last_line(const char *path) {
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

static void local_worker_failed(struct scaler *scaler, int index, const char *reason) {
    struct local_worker *worker = &scaler->workers[index];
    int pause = PAUSE_FIRST_MS << MIN(worker->failures, 6);
    worker->failures++;
    worker->not_before_ms = clock_monotonic_ms(clock_system()) + MIN(pause, PAUSE_MAX_MS);
    log_write(NULL, LOG_ERROR, "worker %d %s; next try in %d s", index + 1, reason, MIN(pause, PAUSE_MAX_MS) / 1000);
}

/* Each worker of several cards sees only its own, as cuda:0. */
static void local_worker_start(struct scaler *scaler, int index) {
    const struct local_scale_options *options = scaler->options;
    char unique[7]; /* a worker that is started again is another one: a job that ends several is poison */
    random_text(unique, sizeof unique - 1);
    _cleanup_free_ char *log = worker_log_path(scaler, index), *id = xasprintf("local-%d-%s", index + 1, unique);
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
    worker_log_rotate(log);
    struct error err;
    pid_t pid = child_start(argv, &(struct child_options){.log_path = log}, &err);
    if (pid < 0) {
        local_worker_failed(scaler, index, err.message);
        return;
    }
    scaler->workers[index].pid = pid;
    scaler->workers[index].started_ms = clock_monotonic_ms(clock_system());
    log_write(NULL, LOG_INFO, "worker %d started (pid %d, log %s)", index + 1, (int)pid, log);
}

static void local_worker_ended(struct scaler *scaler, int index, int status) {
    struct local_worker *worker = &scaler->workers[index];
    worker->pid = 0;
    if (clock_monotonic_ms(clock_system()) - worker->started_ms >= HEALTHY_MS)
        worker->failures = 0;
    if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || scaler->stopping) {
        worker->failures = 0;
        log_write(NULL, LOG_INFO, "worker %d ended", index + 1);
        return;
    }
    _cleanup_free_ char *log = worker_log_path(scaler, index), *line = worker_log_last_line(log);
    _cleanup_free_ char *reason =
        WIFSIGNALED(status) ? xasprintf("was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)))
                            : xasprintf("ended with status %d: %s", WEXITSTATUS(status), line);
    local_worker_failed(scaler, index, reason);
}

/* Collects workers that ended; returns how many live. */
static int scaler_reap(struct scaler *scaler) {
    int living = 0;
    for (int i = 0; i < scaler->options->cap; i++) {
        int status = 0;
        if (scaler->workers[i].pid && waitpid(scaler->workers[i].pid, &status, WNOHANG) != 0)
            local_worker_ended(scaler, i, status);
        living += scaler->workers[i].pid != 0;
    }
    return living;
}

/* Starts what the rule asks for; returns how long to sleep at most (-1: until something happens). */
static int scaler_adjust(struct scaler *scaler) {
    int missing = atomic_load(&scaler->watcher.wanted) - scaler_reap(scaler);
    int64_t now = clock_monotonic_ms(clock_system()), next = INT64_MAX;
    for (int i = 0; i < scaler->options->cap && missing > 0; i++) {
        struct local_worker *worker = &scaler->workers[i];
        if (worker->pid)
            continue;
        if (worker->not_before_ms <= now) {
            local_worker_start(scaler, i);
            missing--;
        }
        if (!worker->pid)
            next = MIN(next, worker->not_before_ms);
    }
    return next == INT64_MAX || missing <= 0 ? -1 : (int)MAX(next - now, 1);
}

static void scaler_kill(const struct scaler *scaler, int number) {
    for (int i = 0; i < scaler->options->cap; i++)
        if (scaler->workers[i].pid)
            kill(scaler->workers[i].pid, number);
}

/* Sleeps until a worker ends, the queue changes or a signal comes; counts signals to stop. */
static void scaler_sleep(struct scaler *scaler, int timeout_ms) {
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

static void scaler_drain(struct scaler *scaler) {
    int64_t deadline = clock_monotonic_ms(clock_system()) + scaler->options->grace_ms;
    int living = scaler_reap(scaler);
    if (living)
        log_write(NULL, LOG_INFO, "stopping: %d workers finish or release their jobs (again to stop at once)", living);
    scaler_kill(scaler, SIGTERM);
    while (scaler_reap(scaler) > 0) {
        if (scaler->stopping > 1 || clock_monotonic_ms(clock_system()) >= deadline)
            scaler_kill(scaler, SIGKILL);
        scaler_sleep(scaler, (int)CLAMP(deadline - clock_monotonic_ms(clock_system()), 50, 60000));
    }
}

bool local_scale_run(const struct local_scale_options *options, struct error *err) {
    if (!directory_make(options->log_directory, err))
        return false;
    _cleanup_close_ int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    _cleanup_free_ struct local_worker *workers = xnew_array(struct local_worker, options->cap + 1);
    struct scaler scaler = {options, workers, {.options = options, .wake = wake}, 0};
    if (wake < 0)
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot start the autoscaler");
    if (!thread_start(&scaler.watcher.thread, "scale-watch", watcher_run, &scaler.watcher, err))
        return false;
    while (!scaler.stopping)
        scaler_sleep(&scaler, scaler_adjust(&scaler));
    atomic_store(&scaler.watcher.stop, true);
    scaler_drain(&scaler);
    pthread_join(scaler.watcher.thread, NULL);
    return true;
}
