/* The supervisor: one thread, one loop over its executors, Redis, signals and timers. */
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/random.h"
#include "worker/exporter.h"
#include "worker/node.h"
#include "worker/scratch.h"
#include "worker/supervisor.h"

enum {
    SLOTS = 2, /* of a device: one computes, the other fetches the next job, decodes its begin, or encodes its end */
    BEAT_MS = 1000,     /* progress is shown once a second... */
    BEATS_OF_LEASE = 3, /* ... or more often, so that a lease lasts as many beats */
    WAIT_MS = 1000,     /* longest wait for a job, after which Redis is asked what is due */
    ANSWER_MS = 7000,   /* after it began: a wait without an answer by then has lost its connection, silently */
    PUSH_MS = 100,      /* how often an executor that has to end is looked at */
    DEFAULT_LEASE_MS = 30000,
    LEAVE_MS = 3000,       /* after the grace time, for what is done already to reach the store and Redis */
    EXECUTORS_SHARE = 90,  /* percent of the memory, for all executors: one that grows ends before the machine does */
    STORE_LEFT_MS = 1000,  /* after that, for what waits for the store to give up */
    SPOT_GRACE_MS = 90000, /* of the 120 s between the notice and the end: the rest is for releasing */
};

/* ---- claiming and reaping ---- */

static void worker_reap(struct worker *worker) {
    struct executor_end end;
    for (int i = 0; i < worker->slot_count; i++)
        if (executor_process_reap(&worker->slots[i].executor, &end))
            slot_lose_executor(&worker->slots[i], &end);
}

static int worker_busy(const struct worker *worker) {
    int busy = 0;
    for (int i = 0; i < worker->slot_count; i++)
        busy += slot_is_busy(&worker->slots[i]);
    return busy;
}

/* A second job of a device that is claimed early is fetched while the first one computes. Claimed too early it is kept
 * from idle workers. So: once what the device's other slots do is past its half. */
static bool slot_is_early(const struct worker *worker, const struct slot *slot) {
    for (int i = 0; i < worker->slot_count; i++) {
        const struct slot *other = &worker->slots[i];
        if (other != slot && other->device == slot->device && slot_is_busy(other) &&
            2 * other->progress.frames <= other->progress.of)
            return true;
    }
    return false;
}

/* The slot that the next job is for; NULL when none may be claimed. */
static struct slot *worker_willing_slot(struct worker *worker) {
    if (worker->draining || !worker_may_ask(worker) ||
        !illness_allows(&worker->illness, worker_busy(worker), worker_now()))
        return NULL;
    for (int i = 0; i < worker->slot_count; i++)
        if (slot_is_willing(&worker->slots[i]) && !slot_is_early(worker, &worker->slots[i]))
            return &worker->slots[i];
    return NULL;
}

/* Claims until nothing more is there or wanted, and then begins to wait for more. */
static void worker_claim(struct worker *worker) {
    const struct worker_options *options = worker->options;
    struct claim_options what = {.worker = worker->id,
                                 .pools = options->pools,
                                 .pool_count = options->pool_count,
                                 .lease_ms = options->lease_ms,
                                 .only = options->only};
    struct error err;
    for (struct slot *slot; !worker->waits && (slot = worker_willing_slot(worker));) {
        struct claim claim;
        const char *holds[CLAIM_HOLDS_MAX];
        size_t count = 0;
        bool ready = false;
        for (what.hold_count = 0; what.hold_count < slot->executor.hold_count; what.hold_count++)
            holds[what.hold_count] = slot->executor.holds[what.hold_count];
        what.holds = holds;
        bool answered = queue_claim(worker->queue, &what, &claim, 1, &count, &err);
        if (answered && count == 0) {
            answered = queue_wait_begin(worker->waiter, &what, WAIT_MS, &ready, &err);
            worker->waits = answered && !ready;
            worker->answer_ms = worker_now() + ANSWER_MS;
        }
        if (count == 1)
            slot_begin(slot, &claim);
        if (answered)
            worker_reached_redis(worker);
        else if (!worker_waits_for_redis(worker, &err))
            log_write(&(struct log){.worker = worker->id}, LOG_ERROR, "cannot claim: %s", err.message);
        if (!answered)
            break;
    }
}

static void worker_end_wait(struct worker *worker) {
    struct error err;
    bool ready;
    worker->waits = false;
    if (!queue_wait_end(worker->waiter, &ready, &err))
        (void)worker_waits_for_redis(worker, &err);
}

/* ---- the loop ---- */

/* What is polled; of each slot the executor's wire and the end of its task. */
enum { WATCH_SIGNALS, WATCH_LEAVE, WATCH_REDIS, WATCH_SLOTS };

static void worker_watch(const struct worker *worker, int signals, struct pollfd *watch) {
    watch[WATCH_SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
    watch[WATCH_LEAVE] = (struct pollfd){.fd = worker->leave, .events = POLLIN};
    watch[WATCH_REDIS] =
        (struct pollfd){.fd = worker->waits ? queue_wait_descriptor(worker->waiter) : -1, .events = POLLIN};
    for (int i = 0; i < worker->slot_count; i++) {
        const struct slot *slot = &worker->slots[i];
        bool talks = slot->executor.pid && !slot->executor.hung_up;
        watch[WATCH_SLOTS + 2 * i] =
            (struct pollfd){.fd = talks ? slot->executor.wire.socket : -1,
                            .events = slot->executor.wire.out.length > 0 ? POLLIN | POLLOUT : POLLIN};
        watch[WATCH_SLOTS + 2 * i + 1] = (struct pollfd){.fd = slot->done, .events = POLLIN};
    }
}

/* How long nothing has to be done by itself. */
static int worker_patience(const struct worker *worker) {
    int64_t now = worker_now(), next = MAX(worker->beat_ms, worker->redis_ms);
    for (int i = 0; i < worker->slot_count; i++)
        if (worker->slots[i].executor.term_ms)
            next = MIN(next, now + PUSH_MS);
    if (worker->draining)
        next = MIN(next, now < worker->deadline_ms ? worker->deadline_ms : now + PUSH_MS);
    return (int)CLAMP(next - now, 0, BEAT_MS);
}

static void worker_hear_slots(struct worker *worker, const struct pollfd *watch) {
    struct error err;
    for (int i = 0; i < worker->slot_count; i++) {
        struct slot *slot = &worker->slots[i];
        const struct pollfd *wire = &watch[WATCH_SLOTS + 2 * i], *task = wire + 1;
        if (wire->revents & (POLLIN | POLLHUP | POLLERR))
            slot_hear(slot);
        if (wire->revents & POLLOUT && !wire_flush(&slot->executor.wire, &err))
            executor_process_end(&slot->executor, 0);
        if (task->revents)
            slot_end_task(slot);
    }
}

/* What is due without anything having happened. */
static void worker_step(struct worker *worker) {
    for (int i = 0; i < worker->slot_count; i++) {
        struct slot *slot = &worker->slots[i];
        executor_process_push(&slot->executor);
        if (!worker->draining)
            slot_start_executor(slot);
        slot_step(slot, worker_may_ask(worker));
    }
    if (worker_now() >= worker->beat_ms && worker_may_ask(worker)) {
        worker->beat_ms = worker_now() + MIN(BEAT_MS, worker->options->lease_ms / BEATS_OF_LEASE);
        worker_beat(worker);
    }
    worker_claim(worker);
    bool busy = worker_busy(worker) > 0;
    if (busy)
        atomic_store(&worker->vitals.last_busy_ms, worker_now());
    atomic_store(&worker->vitals.busy, busy);
    atomic_store(&worker->vitals.ill, worker->illness.ill ? worker->illness.why.code : ERR_NONE);
}

/* ---- the end ---- */

/* Claims nothing more. A job that does not compute yet goes back at once; others have until the deadline, and what is
 * done by then is finished. */
static void worker_drain(struct worker *worker, int64_t grace_ms, const char *why) {
    if (worker->draining) {
        worker->deadline_ms = MIN(worker->deadline_ms, worker_now() + grace_ms);
        return;
    }
    log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ending: %s", why);
    worker->draining = true;
    atomic_store(&worker->vitals.draining, true);
    worker->deadline_ms = worker_now() + grace_ms;
    worker->beat_ms = 0; /* so that everybody sees it */
    if (worker->waits)
        queue_wait_abandon(worker->waiter);
    worker->waits = false;
    for (int i = 0; i < worker->slot_count; i++)
        if (worker->slots[i].state < SLOT_COMPUTING)
            slot_stop(&worker->slots[i], STOP_DRAIN);
}

/* A first signal begins the drain, a second one ends its grace. */
static void worker_read_signals(struct worker *worker, int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            worker_reap(worker);
        else
            worker_drain(worker, worker->draining ? 0 : worker->options->grace_ms, "told to stop");
    }
}

static bool worker_is_idle(const struct worker *worker) {
    int64_t limit = worker->options->idle_exit_ms;
    return limit && !worker_busy(worker) && worker_now() - atomic_load(&worker->vitals.last_busy_ms) >= limit;
}

/* After the deadline: jobs that still compute are stopped; somewhat later all are, and what waits for the store. */
static void worker_press(struct worker *worker) {
    if (!worker->draining || worker_now() < worker->deadline_ms)
        return;
    bool all = worker_now() >= worker->deadline_ms + LEAVE_MS;
    atomic_store(&worker->leaves_store, all);
    for (int i = 0; i < worker->slot_count; i++)
        if (all || worker->slots[i].state <= SLOT_COMPUTING)
            slot_stop(&worker->slots[i], STOP_DRAIN);
}

/* A disk that hangs can outlast the time that is left before the process is killed, which would count as a crash. What
 * the tasks still do is fenced: Redis refuses it. */
static void worker_release_all(struct worker *worker) {
    struct error err;
    for (int i = 0; i < worker->slot_count; i++) {
        const struct slot *slot = &worker->slots[i];
        if (!slot_is_busy(slot) || (slot->reason != STOP_NONE && slot->reason != STOP_DRAIN))
            continue;
        if (queue_release(worker->queue, worker->id, &slot->claim, &err))
            log_write(&slot->log, LOG_INFO, "released while its files are on their way");
        else
            log_write(&slot->log, LOG_WARN, "not released, it waits for its lease to end: %s", err.message);
    }
}

/* False: it ends at once, since a job does not stop. */
static bool worker_loop(struct worker *worker, int signals) {
    size_t count = WATCH_SLOTS + 2 * (size_t)worker->slot_count;
    _cleanup_free_ struct pollfd *watch = xnew_array(struct pollfd, count);
    for (uint64_t ignored;;) {
        worker_step(worker);
        if (worker->failed_to_start || (worker->draining && worker_busy(worker) == 0))
            return true;
        if (worker->draining && worker_now() >= worker->deadline_ms + LEAVE_MS + STORE_LEFT_MS)
            return false;
        worker_watch(worker, signals, watch);
        poll(watch, count, worker_patience(worker));
        atomic_store(&worker->vitals.turned_ms, worker_now());
        worker_hear_slots(worker, watch); /* before an executor's end: it may have said why */
        worker_read_signals(worker, signals);
        if (watch[WATCH_LEAVE].revents && read(worker->leave, &ignored, sizeof ignored) > 0)
            worker_drain(worker, MIN(worker->options->grace_ms, SPOT_GRACE_MS), "the machine is taken away");
        if (watch[WATCH_REDIS].revents || (worker->waits && worker_now() >= worker->answer_ms))
            worker_end_wait(worker);
        if (worker_is_idle(worker))
            worker_drain(worker, 0, "nothing to do");
        worker_press(worker);
    }
}

/* ---- start ---- */

static bool worker_runs_job(void *context) { return atomic_load(&((struct worker *)context)->vitals.busy); }

/* Called by the node's thread. */
static void worker_leave(void *context) {
    struct worker *worker = context;
    uint64_t one = 1;
    if (write(worker->leave, &one, sizeof one) < 0)
        log_write(&(struct log){.worker = worker->id}, LOG_ERROR, "cannot start to drain");
}

static bool open_slots(struct worker *worker, struct error *err) {
    const struct worker_options *options = worker->options;
    int count = (int)options->device_count * options->slots;
    worker->slots = xcalloc((size_t)count, sizeof *worker->slots);
    worker->inside = xcalloc(options->device_count, sizeof(struct slot *));
    bool opened = true;
    for (; opened && worker->slot_count < count; worker->slot_count++)
        opened =
            slot_open(&worker->slots[worker->slot_count], worker, worker->slot_count % (int)options->device_count, err);
    return opened;
}

static void worker_free(struct worker *worker) {
    exporter_stop_cleanup(&worker->exporter);
    for (int i = 0; i < worker->slot_count; i++)
        slot_close(&worker->slots[i]);
    free(worker->slots);
    free(worker->inside);
    queue_close_cleanup(&worker->queue);
    queue_close_cleanup(&worker->waiter);
    if (worker->scratch)
        tree_remove(worker->scratch);
    free(worker->scratch);
    free(worker->program);
    free(worker->cache_folder);
    cache_close_cleanup(&worker->cache);
    store_close_cleanup(&worker->store);
}

/* Before the executors load their networks, which may take minutes: until then the worker is alive and not ready. */
static bool open_exporter(struct worker *worker, struct error *err) {
    const struct exporter_options options = {.address = worker->options->metrics_address,
                                             .worker = worker->id,
                                             .vitals = &worker->vitals,
                                             .devices = worker->options->devices,
                                             .device_count = worker->options->device_count,
                                             .store = worker->store};
    if (!options.address)
        return true;
    worker->exporter = exporter_start(&options, err);
    return worker->exporter;
}

static bool worker_open(struct worker *worker, struct error *err) {
    const struct worker_options *options = worker->options;
    worker->cache_folder = xasprintf("%s/cache", options->work_directory);
    int64_t executors = (int64_t)options->device_count * options->slots;
    worker->memory_mb = process_memory_mb() * EXECUTORS_SHARE / 100 / executors;
    char program[4096] = "";
    if (!options->executor && readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot find this program's file");
    worker->program = xstrdup(options->executor ? options->executor : program);
    atomic_store(&worker->vitals.last_busy_ms, worker_now());
    worker->scratch = scratch_make(options->work_directory, err);
    if (!worker->scratch)
        return false;
    struct store_options store = options->store ? *options->store : (struct store_options){0};
    store.cancel = &worker->leaves_store;
    worker->store = store_open(options->store_url, &store, err);
    if (!worker->store)
        return false;
    worker->cache = cache_open(worker->cache_folder, options->cache_bytes, err);
    if (!worker->cache || !(worker->queue = queue_open(&options->queue, err)) ||
        !(worker->waiter = queue_open(&options->queue, err)))
        return false;
    worker_reached_redis(worker);
    return open_slots(worker, err) && open_exporter(worker, err);
}

static void worker_sign_off(struct worker *worker) {
    struct error err;
    if (!queue_worker_gone(worker->queue, worker->id, &err))
        log_write(&(struct log){.worker = worker->id}, LOG_WARN, "signing off: %s", err.message);
    log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ended");
}

static bool worker_serve(struct worker *worker, int signals, struct error *err) {
    struct error no_node;
    struct node *node = node_start(&(struct node_options){worker_runs_job, worker_leave, worker}, &no_node);
    if (!node)
        log_write(&(struct log){.worker = worker->id}, LOG_ERROR, "no spot notice will be seen: %s", no_node.message);
    bool ended = worker_loop(worker, signals);
    if (!ended)
        worker_release_all(worker);
    worker_sign_off(worker);
    if (!ended) {
        tree_remove(worker->scratch);
        _exit(EXIT_SUCCESS); /* the executors die with it */
    }
    if (node)
        node_stop(node);
    *err = worker->illness.why;
    return !worker->failed_to_start;
}

static char *worker_make_id(void) {
    char host[65] = "", random[7];
    gethostname(host, sizeof host - 1);
    random_text(random, sizeof random - 1);
    return xasprintf("%s-%d-%s", host, (int)getpid(), random);
}

/* A descriptor that SIGTERM, SIGINT and SIGCHLD are read from. */
static int open_signals(void) {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &watched, NULL);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool worker_run(const struct worker_options *given, struct error *err) {
    struct worker_options options = *given;
    options.lease_ms = options.lease_ms ? options.lease_ms : DEFAULT_LEASE_MS;
    options.slots = options.slots ? options.slots : SLOTS;
    _cleanup_close_ int signals = open_signals();
    _cleanup_close_ int leave = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signals < 0 || leave < 0)
        return error_set(err, ERR_INTERNAL, "cannot wait for signals");
    _cleanup_free_ char *id = options.id ? xstrdup(options.id) : worker_make_id();
    struct worker worker = {.options = &options, .id = id, .leave = leave};
    bool good = worker_open(&worker, err) && worker_serve(&worker, signals, err);
    worker_free(&worker);
    return good;
}
