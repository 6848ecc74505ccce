#include "worker/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "store/cache.h"
#include "worker/exporter.h"
#include "worker/node.h"
#include "worker/slot.h"

enum {
    SLOTS = 2,      /* one computes, the other fetches the next job or uploads the last */
    BEAT_MS = 1000, /* progress is shown once a second; a lease lasts many beats */
    BEAT_TTL_MS = 15000,
    DEFAULT_LEASE_MS = 30000,
    DEFAULT_GRACE_MS = 25000,
    SLOTS_END_MS = 3000,   /* after the grace time, for the slots to see that they have to stop */
    SPOT_GRACE_MS = 90000, /* of the 120 s between the notice and the end: the rest is for releasing */
    IDLE_POLL_MS = 200,
    DRAIN_POLL_MS = 50,
};

/* ---- heartbeats ---- */

/* A thread with a connection of its own that renews the slots' leases and the worker's beat. It waits for Redis alone,
 * never for a job. */
struct heart {
    struct worker *worker;
    struct queue *queue; /* the thread's, until heart_end */
    pthread_t thread;
    atomic_bool stop; /* a lone flag, read once a turn; the join orders all else */
};

static json_t *heart_progress(const struct slot *slot) {
    return json_pack("{s:I,s:I,s:s}", "frames", (json_int_t)atomic_load(&slot->progress.frames), "of",
                     (json_int_t)atomic_load(&slot->progress.of), "step",
                     step_name((enum step)atomic_load(&slot->progress.step)));
}

/* Records the failure from here, at once: the slot may notice its stop only after the lease, which is not renewed any
 * more, has run out. */
static void heart_fail_job(const struct heart *heart, const struct claim *claim) {
    struct error failure, err;
    error_set(&failure, ERR_JOB_TIMEOUT, "the job ran past the longest time that a %s may take",
              job_kind_name(claim->job.kind));
    if (!queue_fail(heart->queue, heart->worker->id, claim, &failure, &err))
        log_write(&(struct log){.worker = heart->worker->id}, LOG_WARN, "the failure of %s was not recorded: %s",
                  claim->job_id, err.message);
}

static enum stop_reason stop_reason_of(enum error_code code) {
    switch (code) {
    case ERR_CANCELLED:
        return STOP_CANCELLED;
    case ERR_JOB_TIMEOUT:
        return STOP_TIMEOUT;
    case ERR_QUEUE_STALE:
        return STOP_LOST;
    default:
        return STOP_NONE; /* Redis did not answer: the lease may hold */
    }
}

/* Renews the slot's lease, and stops the job when the queue refuses. No lock is held while Redis is asked, so by then
 * the slot may be at its next job, which must not be stopped for the one before. */
static void heart_beat_slot(struct heart *heart, struct slot *slot, json_t *jobs) {
    struct claim claim, now;
    if (!slot_is_busy(slot, &claim))
        return;
    json_array_append_new(jobs, json_string(claim.job_id));
    enum stop_reason stopped = slot->reason;
    if (stopped != STOP_NONE && stopped != STOP_DRAIN)
        return; /* not ours any more, and about to stop */
    struct error err;
    _cleanup_json_ json_t *progress = heart_progress(slot);
    if (queue_heartbeat(heart->queue, heart->worker->id, &claim, heart->worker->options->lease_ms, progress, &err))
        return;
    enum stop_reason reason = stop_reason_of(err.code);
    bool same =
        slot_is_busy(slot, &now) && strcmp(now.job_id, claim.job_id) == 0 && strcmp(now.stamp, claim.stamp) == 0;
    if (same && reason != STOP_NONE)
        slot_stop(slot, reason);
    if (reason == STOP_TIMEOUT)
        heart_fail_job(heart, &claim);
}

static json_t *heart_describe(const struct worker *worker, json_t *jobs) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    json_t *pools = json_array(), *classes = json_array();
    for (size_t i = 0; i < worker->options->pool_count; i++)
        json_array_append_new(pools, json_string(pool_name(worker->options->pools[i])));
    for (int class = 0; class < CLASS_COUNT; class ++)
        if (!worker->options->only || *worker->options->only == (enum campaign_class) class)
            json_array_append_new(classes, json_string(campaign_class_name((enum campaign_class) class)));
    const char *state = atomic_load(&worker->vitals.draining) ? "draining"
                        : json_array_size(jobs) > 0           ? "busy"
                                                              : "idle";
    const struct device *device = &worker->options->models.device;
    return json_pack("{s:s,s:i,s:s,s:s,s:s,s:o,s:o,s:O}", "host", host, "pid", (int)getpid(), "version", MELA_VERSION,
                     "state", state, "device", device->kind == DEVICE_CUDA ? "cuda" : "cpu", "pools", pools, "classes",
                     classes, "jobs", jobs);
}

static void *heart_thread(void *context) {
    struct heart *heart = context;
    struct worker *worker = heart->worker;
    while (!atomic_load(&heart->stop)) {
        atomic_store(&worker->vitals.turned_ms, clock_monotonic_ms(clock_system()));
        _cleanup_json_ json_t *jobs = json_array();
        for (int i = 0; i < worker->slot_count; i++)
            heart_beat_slot(heart, &worker->slots[i], jobs);
        _cleanup_json_ json_t *info = heart_describe(worker, jobs);
        struct error err;
        bool beaten = queue_worker_beat(heart->queue, worker->id, info, BEAT_TTL_MS, &err);
        if (beaten || err.code != ERR_QUEUE_UNAVAILABLE)
            atomic_store(&worker->vitals.answered_ms, clock_monotonic_ms(clock_system()));
        if (!beaten)
            log_write(&(struct log){.worker = worker->id}, LOG_WARN, "heartbeat: %s", err.message);
        clock_sleep_ms(clock_system(), BEAT_MS);
    }
    struct error err;
    if (!queue_worker_gone(heart->queue, worker->id, &err))
        log_write(&(struct log){.worker = worker->id}, LOG_WARN, "signing off: %s", err.message);
    return NULL;
}

/* The thread has ended when this returns; its connection is the caller's then. */
static void heart_end(struct heart *heart) {
    atomic_store(&heart->stop, true);
    pthread_join(heart->thread, NULL);
}

/* ---- scratch space ---- */

/* A descriptor that holds the folder's lock until it is closed, -1 on failure. `how` as for flock. */
static int lock_folder(const char *path, int how) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || flock(folder, how) == 0)
        return folder;
    close(folder);
    return -1;
}

/* Removes what killed workers left: a live one holds a lock on its folder. */
static void scratch_sweep(const char *parent) {
    DIR *directory = opendir(parent);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        _cleanup_free_ char *path = xasprintf("%s/%s", parent, entry->d_name);
        _cleanup_close_ int lock = lock_folder(path, LOCK_EX | LOCK_NB);
        if (lock >= 0)
            tree_remove(path);
    }
    closedir(directory);
}

/* Makes a folder of this worker's own and locks it until the process ends: the descriptor is left open. One worker does
 * this at a time, since another's sweep would remove a folder that is made and not yet locked. */
static char *scratch_make(const char *work_directory, struct error *err) {
    _cleanup_free_ char *parent = xasprintf("%s/scratch", work_directory);
    if (!directory_make(parent, err))
        return NULL;
    _cleanup_close_ int parent_lock = lock_folder(parent, LOCK_EX);
    if (parent_lock < 0) {
        error_set(err, ERR_IO, "cannot lock %s", parent);
        return NULL;
    }
    scratch_sweep(parent);
    _cleanup_free_ char *path = directory_make_temporary(parent, "worker", err);
    if (!path)
        return NULL;
    if (lock_folder(path, LOCK_EX | LOCK_NB) < 0) {
        error_set(err, ERR_IO, "cannot lock %s", path);
        return NULL;
    }
    return steal(path);
}

/* ---- start, drain, end ---- */

static bool open_slots(struct worker *worker, struct error *err) {
    worker->slots = xnew_array(struct slot, SLOTS);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &worker->slots[i];
        slot->worker = worker;
        pthread_mutex_init(&slot->lock, NULL);
        worker->slot_count = i + 1;
        slot->queue = queue_open(&worker->options->queue, err);
        if (!slot->queue)
            return false;
    }
    return true;
}

static void worker_free(struct worker *worker) {
    exporter_stop_cleanup(&worker->exporter);
    for (int i = 0; i < worker->slot_count; i++) {
        struct slot *slot = &worker->slots[i];
        queue_close_cleanup(&slot->queue);
        campaign_free_cleanup(&slot->campaign);
        plan_free_cleanup(&slot->plan);
        pthread_mutex_destroy(&slot->lock);
    }
    free(worker->slots);
    if (worker->scratch)
        tree_remove(worker->scratch);
    free(worker->scratch);
    gate_free_cleanup(&worker->gate);
    models_free_cleanup(&worker->models);
    cache_close_cleanup(&worker->cache);
    store_close_cleanup(&worker->store);
}

static bool worker_runs_job(void *worker) { return worker_is_busy(worker); }

/* Before the models, which may take minutes to load: until then the worker is alive and not ready. */
static bool open_exporter(struct worker *worker, struct error *err) {
    const struct exporter_options options = {.address = worker->options->metrics_address,
                                             .worker = worker->id,
                                             .vitals = &worker->vitals,
                                             .device = &worker->options->models.device,
                                             .store = worker->store,
                                             .is_busy = worker_runs_job,
                                             .context = worker};
    atomic_store(&worker->vitals.answered_ms, clock_monotonic_ms(clock_system())); /* the slots have connected */
    if (!options.address)
        return true;
    worker->exporter = exporter_start(&options, err);
    return worker->exporter;
}

static bool worker_open(struct worker *worker, struct error *err) {
    const struct worker_options *options = worker->options;
    _cleanup_free_ char *cache = xasprintf("%s/cache", options->work_directory);
    worker->gate = gate_new();
    pthread_mutex_init(&worker->claiming, NULL);
    atomic_store(&worker->vitals.last_busy_ms, clock_monotonic_ms(clock_system()));
    worker->scratch = scratch_make(options->work_directory, err);
    if (!worker->scratch)
        return false;
    worker->store = store_open(options->store_url, options->store, err);
    if (!worker->store)
        return false;
    worker->cache = cache_open(cache, options->cache_bytes, err);
    if (!worker->cache || !open_slots(worker, err) || !open_exporter(worker, err))
        return false;
    worker->models = models_load(&options->models, options->pools, options->pool_count, err);
    return worker->models;
}

/* Waits for a signal, for the end of the machine, or for long enough without work; returns why the worker ends. */
static const char *wait_for_end(struct worker *worker, int signals) {
    int64_t idle_exit_ms = worker->options->idle_exit_ms;
    for (;;) {
        struct pollfd waits[] = {{.fd = signals, .events = POLLIN}, {.fd = worker->leave, .events = POLLIN}};
        if (poll(waits, ARRAY_LENGTH(waits), idle_exit_ms ? IDLE_POLL_MS : -1) > 0)
            return atomic_load(&worker->is_leaving) ? "the machine is taken away" : "told to stop";
        if (idle_exit_ms && !worker_is_busy(worker) &&
            clock_monotonic_ms(clock_system()) - atomic_load(&worker->vitals.last_busy_ms) >= idle_exit_ms)
            return "nothing to do";
    }
}

/* Stops claiming (slot_begin says why no claim slips through). A job that has not begun to compute stops at once,
 * others when the grace time is over or a second signal comes. */
static void worker_drain(struct worker *worker, int signals) {
    atomic_store(&worker->vitals.draining, true);
    bool leaving = atomic_load(&worker->is_leaving);
    int64_t grace_ms = leaving ? MIN(worker->options->grace_ms, SPOT_GRACE_MS) : worker->options->grace_ms;
    int64_t deadline = clock_monotonic_ms(clock_system()) + grace_ms;
    for (int i = 0; i < worker->slot_count; i++)
        if (atomic_load(&worker->slots[i].progress.step) == STEP_FETCH)
            slot_stop(&worker->slots[i], STOP_DRAIN);
    while (worker_is_busy(worker) && clock_monotonic_ms(clock_system()) < deadline) {
        struct pollfd again = {.fd = signals, .events = POLLIN};
        struct signalfd_siginfo info;
        if (poll(&again, 1, DRAIN_POLL_MS) > 0 && read(signals, &info, sizeof info) > 0)
            break;
    }
    for (int i = 0; i < worker->slot_count; i++)
        slot_stop(&worker->slots[i], STOP_DRAIN);
}

/* After worker_drain(): true when every slot has released or finished its job. */
static bool slots_end(struct worker *worker) {
    int64_t deadline = clock_monotonic_ms(clock_system()) + SLOTS_END_MS;
    while (worker_is_busy(worker) && clock_monotonic_ms(clock_system()) < deadline)
        clock_sleep_ms(clock_system(), 20);
    return !worker_is_busy(worker);
}

/* One run of a large network, or a store that hangs, can outlast the time that is left before the process is killed,
 * which would count as a crash. So the jobs are released over the heart's connection, since the slots use theirs, and
 * the process ends at once. Whatever the slots still do is fenced: Redis refuses it. */
static _Noreturn void leave_at_once(struct worker *worker, struct heart *heart) {
    struct error err;
    heart_end(heart);
    for (int i = 0; i < worker->slot_count; i++) {
        struct claim claim;
        struct log log = {.worker = worker->id, .job_id = claim.job_id};
        if (!slot_is_busy(&worker->slots[i], &claim))
            continue;
        if (queue_release(heart->queue, worker->id, &claim, &err))
            log_write(&log, LOG_INFO, "released while it still computes");
        else
            log_write(&log, LOG_WARN, "not released, it waits for its lease to end: %s", err.message);
    }
    log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ended");
    _exit(0);
}

/* Called by the node's thread. */
static void worker_leave(void *context) {
    struct worker *worker = context;
    uint64_t one = 1;
    atomic_store(&worker->is_leaving, true);
    if (write(worker->leave, &one, sizeof one) < 0)
        log_write(&(struct log){.worker = worker->id}, LOG_ERROR, "cannot start to drain");
}

/* Reads the signal that ended the wait, so that a second one shows; there is none when something else ended it. */
static void read_signal(int signals) {
    struct signalfd_siginfo info;
    ssize_t ignored = read(signals, &info, sizeof info);
    (void)ignored;
}

/* Joins the slots that have a thread. */
static void join_slots(struct worker *worker, int started) {
    for (int i = 0; i < started; i++)
        pthread_join(worker->slots[i].thread, NULL);
}

static bool start_slots(struct worker *worker, struct error *err) {
    for (int i = 0; i < worker->slot_count; i++)
        if (!thread_start(&worker->slots[i].thread, "slot", slot_thread, &worker->slots[i], err)) {
            atomic_store(&worker->vitals.draining, true);
            join_slots(worker, i);
            return false;
        }
    return true;
}

/* With all threads running, until the worker is to end; then ends them. */
static void worker_serve(struct worker *worker, struct heart *heart, int signals) {
    log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ready on %s",
              worker->options->models.device.kind == DEVICE_CUDA ? "CUDA" : "the CPU");
    struct error err;
    struct node *node = node_start(&(struct node_options){worker_runs_job, worker_leave, worker}, &err);
    if (!node)
        log_write(&(struct log){.worker = worker->id}, LOG_ERROR, "no spot notice will be seen: %s", err.message);
    log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ending: %s", wait_for_end(worker, signals));
    read_signal(signals);
    worker_drain(worker, signals);
    if (!slots_end(worker))
        leave_at_once(worker, heart);
    join_slots(worker, worker->slot_count);
    if (node)
        node_stop(node);
}

static bool worker_start(struct worker *worker, int signals, struct error *err) {
    struct heart heart = {.worker = worker};
    _cleanup_queue_ struct queue *queue = queue_open(&worker->options->queue, err);
    if (!queue)
        return false;
    heart.queue = queue;
    atomic_store(&worker->vitals.turned_ms, clock_monotonic_ms(clock_system()));
    atomic_store(&worker->vitals.loaded, true);
    if (!thread_start(&heart.thread, "heart", heart_thread, &heart, err))
        return false;
    bool started = start_slots(worker, err);
    if (started)
        worker_serve(worker, &heart, signals);
    heart_end(&heart);
    log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ended");
    return started;
}

static char *worker_make_id(void) {
    char host[65] = "", random[7];
    gethostname(host, sizeof host - 1);
    random_text(random, sizeof random - 1);
    return xasprintf("%s-%d-%s", host, (int)getpid(), random);
}

bool worker_run(const struct worker_options *given, struct error *err) {
    struct worker_options options = *given;
    options.lease_ms = options.lease_ms ? options.lease_ms : DEFAULT_LEASE_MS;
    options.grace_ms = options.grace_ms ? options.grace_ms : DEFAULT_GRACE_MS;
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    _cleanup_close_ int signals = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        return error_set(err, ERR_INTERNAL, "cannot wait for signals");
    _cleanup_free_ char *id = options.id ? xstrdup(options.id) : worker_make_id();
    _cleanup_close_ int leave = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (leave < 0)
        return error_set(err, ERR_INTERNAL, "cannot wait for the machine's end");
    struct worker worker = {.options = &options, .id = id, .leave = leave};
    bool good = worker_open(&worker, err) && worker_start(&worker, signals, err);
    worker_free(&worker);
    return good;
}
