#include "worker/slot.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"

enum {
    WAIT_MS = 1000,      /* longest wait for a job before looking at the drain flag again */
    RETRY_MS = 500,      /* between tries while Redis does not answer, doubled for each further one... */
    RETRY_MAX_MS = 4000, /* ... up to this: a farm that lost its Redis must not fall upon it when it is back */
    DOCUMENT_MAX = 64 << 20,
};

static int64_t now_ms(void) { return clock_monotonic_ns(clock_system()) / 1000000; }

void slot_stop(struct slot *slot, enum stop_reason reason) {
    pthread_mutex_lock(&slot->lock);
    if (slot->busy && slot->reason == STOP_NONE) {
        slot->reason = reason;
        atomic_store(&slot->cancel, true);
    }
    pthread_mutex_unlock(&slot->lock);
}

bool slot_is_busy(struct slot *slot, struct claim *claim) {
    pthread_mutex_lock(&slot->lock);
    bool busy = slot->busy;
    *claim = slot->claim;
    pthread_mutex_unlock(&slot->lock);
    return busy;
}

bool worker_is_busy(struct worker *worker) {
    struct claim claim;
    for (int i = 0; i < worker->slot_count; i++)
        if (slot_is_busy(&worker->slots[i], &claim))
            return true;
    return false;
}

/* ---- what a job needs ---- */

static json_t *load_json(struct store *store, const char *key, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    return store_get(store, key, DOCUMENT_MAX, &bytes, err) ? json_parse(bytes.data, bytes.length, err) : NULL;
}

static bool load_campaign(struct slot *slot, const char *id, struct error *err) {
    if (slot->campaign && strcmp(slot->campaign->id, id) == 0)
        return true;
    campaign_free_cleanup(&slot->campaign);
    plan_free_cleanup(&slot->plan);
    slot->campaign = NULL;
    slot->plan = NULL;
    _cleanup_free_ char *key = layout_spec(id);
    _cleanup_json_ json_t *spec = load_json(slot->worker->store, key, err), *problems = json_array();
    if (!spec)
        return error_wrap(err, "campaign %s", id);
    slot->campaign = campaign_parse(spec, id, problems);
    return slot->campaign || error_set(err, ERR_SPEC_INVALID, "%s is not a valid spec", key);
}

static bool load_plan(struct slot *slot, struct error *err) {
    if (slot->plan || slot->claim.job.kind == KIND_PLAN)
        return true;
    _cleanup_free_ char *key = layout_plan(slot->campaign->id);
    _cleanup_json_ json_t *json = load_json(slot->worker->store, key, err);
    return json && (slot->plan = plan_from_json(json, err));
}

/* Published artifacts of those jobs, as strings borrowed from *list. */
static bool load_inputs(struct slot *slot, json_t **list, const char ***keys, size_t *count, struct error *err) {
    _cleanup_free_ char(*ids)[JOB_ID_MAX + 1] = NULL;
    *count = slot->plan ? plan_inputs(slot->plan, &slot->claim.job, &ids) : 0;
    if (*count == 0)
        return true;
    *keys = xcalloc(*count, sizeof **keys);
    for (size_t i = 0; i < *count; i++)
        (*keys)[i] = ids[i];
    *list = queue_artifacts(slot->queue, *keys, *count, err);
    if (!*list)
        return false;
    for (size_t i = 0; i < *count; i++) {
        (*keys)[i] = json_string_value(json_array_get(*list, i));
        if (!(*keys)[i])
            return error_set(err, ERR_INTERNAL, "%s has no published artifact", ids[i]);
    }
    return true;
}

/* ---- running it ---- */

static bool run_stage(struct slot *slot, const char *artifact, const struct log *log, struct work_result *result,
                      struct error *err) {
    struct worker *worker = slot->worker;
    _cleanup_json_ json_t *list = NULL;
    _cleanup_free_ const char **inputs = NULL;
    size_t input_count = 0;
    if (!load_campaign(slot, slot->claim.job.campaign, err) || !load_plan(slot, err) ||
        !load_inputs(slot, &list, &inputs, &input_count, err))
        return false;
    _cleanup_free_ char *scratch = directory_make_temporary(worker->scratch, "job", err);
    if (!scratch)
        return false;
    struct job_context context = {.campaign = slot->campaign,
                                  .plan = slot->plan,
                                  .job = slot->claim.job,
                                  .store = worker->store,
                                  .cache = worker->cache,
                                  .models = worker->models,
                                  .scratch = scratch,
                                  .artifact = artifact,
                                  .inputs = inputs,
                                  .input_count = input_count,
                                  .progress = &slot->progress,
                                  .gate = worker->gate,
                                  .cancel = &slot->cancel,
                                  .log = log};
    bool done = executor_run_job(&context, result, err);
    tree_remove(scratch);
    return done;
}

/* Written after publishing, so that a queue that lost its memory can be rebuilt. A lost receipt costs one
 * job's work. */
static void write_receipt(struct slot *slot, const char *artifact, const json_t *report, const struct log *log) {
    _cleanup_free_ char *key = layout_receipt(&slot->claim.job);
    _cleanup_json_ json_t *receipt =
        json_pack("{s:s,s:s,s:i,s:s,s:O}", "job", slot->claim.job_id, "artifact", artifact, "attempt",
                  slot->claim.attempt, "worker", slot->worker->id, "report", report);
    _cleanup_free_ char *text = json_line(receipt);
    struct error err;
    if (!store_put(slot->worker->store, key, text, strlen(text), STORE_IF_ABSENT, &err) && err.code != ERR_STORE_EXISTS)
        log_write(log, LOG_WARN, "the receipt was not written: %s", err.message);
}

/* Sleeps a while, the longer the more calls in a row have failed, the upper half left to chance. */
static void wait_for_redis(struct slot *slot) {
    int64_t most = MIN((int64_t)RETRY_MS << CLAMP(slot->refusals, 0, 10), (int64_t)RETRY_MAX_MS);
    slot->refusals++;
    clock_sleep_ms(clock_system(), most / 2 + (int64_t)(random_unit() * (double)(most / 2)));
}

/* Repeats a call on the queue while Redis does not answer and the job may still be ours. */
#define UNTIL_REDIS_ANSWERS(slot, call)                                                                                \
    ({                                                                                                                 \
        bool answered_;                                                                                                \
        while (!(answered_ = (call)) && err.code == ERR_QUEUE_UNAVAILABLE && (slot)->reason == STOP_NONE)              \
            wait_for_redis(slot);                                                                                      \
        (slot)->refusals = 0;                                                                                          \
        answered_;                                                                                                     \
    })

static void finish(struct slot *slot, const char *artifact, struct work_result *result, const struct log *log) {
    struct error err = {0};
    _cleanup_free_ struct job_spec *children = NULL;
    const struct plan *plan = result->plan ? result->plan : slot->plan;
    struct job_result published = {.artifact = artifact, .report = result->report};
    published.child_count = plan_children(plan, &slot->claim.job, &children);
    published.children = children;
    if (!UNTIL_REDIS_ANSWERS(slot, queue_finish(slot->queue, slot->worker->id, &slot->claim, &published, &err))) {
        log_write(log, LOG_WARN, "the result was not published: %s", err.message);
        return;
    }
    write_receipt(slot, artifact, result->report, log);
    log_write_with(log, LOG_INFO, json_incref(result->report), "done");
}

static void fail(struct slot *slot, const struct error *failure, const struct log *log) {
    struct error err = {0};
    log_write_with(log, LOG_ERROR, json_pack("{s:s}", "code", error_name(failure->code)), "%s", failure->message);
    if (!UNTIL_REDIS_ANSWERS(slot, queue_fail(slot->queue, slot->worker->id, &slot->claim, failure, &err)))
        log_write(log, LOG_WARN, "the failure was not recorded: %s", err.message);
}

/* The job was stopped from outside: a drained one is given back, the others are not ours any more. */
static void stopped(struct slot *slot, const struct log *log) {
    static const char *const words[] = {"", "the lease was lost", "the campaign was cancelled", "draining",
                                        "it took too long"};
    struct error err = {0};
    log_write(log, LOG_INFO, "stopped: %s", words[slot->reason]);
    if (slot->reason == STOP_DRAIN && !queue_release(slot->queue, slot->worker->id, &slot->claim, &err))
        log_write(log, LOG_WARN, "the job was not given back and waits for its lease to end: %s", err.message);
}

static void run_job(struct slot *slot) {
    const struct claim *claim = &slot->claim;
    struct log log = {.worker = slot->worker->id,
                      .campaign = claim->job.campaign,
                      .job_id = claim->job_id,
                      .language = claim->job.language[0] ? claim->job.language : NULL,
                      .stage = job_kind_name(claim->job.kind),
                      .attempt = claim->attempt};
    _cleanup_free_ char *artifact = layout_artifact(&claim->job, claim->stamp);
    _cleanup_work_result_ struct work_result result = {0};
    struct error err = {0};
    log_write(&log, LOG_INFO, "claimed");
    int64_t started = now_ms();
    bool done = run_stage(slot, artifact, &log, &result, &err);
    if (done)
        json_object_set_new(result.report, "duration_ms", json_integer(now_ms() - started));
    if (slot->reason != STOP_NONE)
        stopped(slot, &log);
    else if (done)
        finish(slot, artifact, &result, &log);
    else
        fail(slot, &err, &log);
}

/* ---- claiming ---- */

static void take(struct slot *slot, const struct claim *claim) {
    pthread_mutex_lock(&slot->lock);
    slot->claim = *claim;
    slot->reason = STOP_NONE;
    atomic_store(&slot->cancel, false);
    atomic_store(&slot->progress.frames, 0);
    atomic_store(&slot->progress.of, 0);
    atomic_store(&slot->progress.step, STEP_FETCH);
    slot->busy = true;
    pthread_mutex_unlock(&slot->lock);
}

static void put_down(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    slot->busy = false;
    pthread_mutex_unlock(&slot->lock);
    atomic_store(&slot->worker->last_busy_ms, now_ms());
}

/* Taking a second job early hides its fetch; taking it too early keeps it from idle workers. So: past the
 * half. */
static bool may_claim(const struct slot *slot) {
    const struct worker *worker = slot->worker;
    for (int i = 0; i < worker->slot_count; i++) {
        struct slot *other = &worker->slots[i];
        pthread_mutex_lock(&other->lock);
        bool early = other != slot && other->busy &&
                     2 * atomic_load(&other->progress.frames) <= atomic_load(&other->progress.of);
        pthread_mutex_unlock(&other->lock);
        if (early)
            return false;
    }
    return true;
}

/* One attempt at getting a job; false when there was none. */
static bool claim_one(struct slot *slot) {
    const struct worker_options *options = slot->worker->options;
    struct claim_options what = {.worker = slot->worker->id,
                                 .pools = options->pools,
                                 .pool_count = options->pool_count,
                                 .lease_ms = options->lease_ms,
                                 .only = options->only};
    struct error err;
    struct claim claim;
    size_t count = 0;
    bool ready;
    if (!queue_claim(slot->queue, &what, &claim, 1, &count, &err) ||
        (count == 0 && !queue_wait(slot->queue, &what, WAIT_MS, &ready, &err))) {
        log_write(&(struct log){.worker = slot->worker->id}, LOG_WARN, "waiting for Redis: %s", err.message);
        wait_for_redis(slot);
        return false;
    }
    slot->refusals = 0;
    if (count == 1)
        take(slot, &claim);
    return count == 1;
}

void *slot_thread(void *context) {
    struct slot *slot = context;
    struct worker *worker = slot->worker;
    while (!atomic_load(&worker->draining)) {
        pthread_mutex_lock(&worker->claiming);
        bool allowed = may_claim(slot);
        bool claimed = allowed && !atomic_load(&worker->draining) && claim_one(slot);
        pthread_mutex_unlock(&worker->claiming);
        if (claimed) {
            run_job(slot);
            put_down(slot);
        } else if (!allowed) {
            clock_sleep_ms(clock_system(), 50);
        }
    }
    return NULL;
}
