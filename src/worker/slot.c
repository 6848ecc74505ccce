#include "worker/slot.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "recover/receipt.h"
#include "worker/transfer.h"

enum {
    WAIT_MS = 1000,      /* longest wait for a job; after it the drain flag is read again */
    AGAIN_MS = 50,       /* until a slot that may not claim yet asks again */
    RETRY_MS = 500,      /* pause after a call that Redis did not answer, doubled for each further one... */
    RETRY_MAX_MS = 4000, /* ... up to this, so that a farm does not storm its Redis when that is back */
    DOCUMENT_MAX = 64 << 20,
};

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

static json_t *slot_load_json(struct store *store, const char *key, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    return store_get(store, key, DOCUMENT_MAX, &bytes, err) ? json_parse(bytes.data, bytes.length, err) : NULL;
}

static bool slot_load_campaign(struct slot *slot, const char *id, struct error *err) {
    if (slot->campaign && strcmp(slot->campaign->id, id) == 0)
        return true;
    campaign_free_cleanup(&slot->campaign);
    plan_free_cleanup(&slot->plan);
    slot->campaign = NULL;
    slot->plan = NULL;
    _cleanup_free_ char *key = layout_spec(id);
    _cleanup_json_ json_t *spec = slot_load_json(slot->worker->store, key, err), *problems = json_array();
    if (!spec)
        return error_wrap(err, "campaign %s", id);
    slot->campaign = campaign_parse(spec, id, problems);
    return slot->campaign || error_set(err, ERR_SPEC_INVALID, "%s is not a valid spec", key);
}

static bool slot_load_plan(struct slot *slot, struct error *err) {
    if (slot->plan)
        return true;
    _cleanup_free_ char *key = layout_plan(slot->campaign->id);
    _cleanup_json_ json_t *json = slot_load_json(slot->worker->store, key, err);
    return json && (slot->plan = plan_from_json(json, err));
}

/* A plan job makes the plan: what is known of an earlier one is forgotten. */
static bool slot_prepare_plan(struct slot *slot, struct error *err) {
    if (slot->claim.job.kind != KIND_PLAN)
        return slot_load_plan(slot, err);
    plan_free_cleanup(&slot->plan);
    slot->plan = NULL;
    return true;
}

/* The published artifacts that the job reads, in the order of its sources: *keys are strings borrowed from *list, both
 * the caller's. */
static bool slot_find_artifacts(struct slot *slot, const struct job_files *files, json_t **list, const char ***keys,
                                struct error *err) {
    size_t count = 0;
    *keys = xnew_array(const char *, files->source_count);
    for (size_t i = 0; i < files->source_count; i++)
        if (files->sources[i].job)
            (*keys)[count++] = files->sources[i].job;
    if (count == 0)
        return true;
    *list = queue_artifacts(slot->queue, *keys, count, err);
    if (!*list)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *key = json_string_value(json_array_get(*list, i));
        if (!key)
            return error_set(err, ERR_INTERNAL, "%s has no published artifact", (*keys)[i]);
        (*keys)[i] = key;
    }
    return true;
}

/* ---- running it ---- */

static bool slot_execute(struct slot *slot, const struct fetched *fetched, const char *scratch, const struct log *log,
                         struct work_result *result, struct error *err) {
    struct job_context context = {.campaign = slot->campaign,
                                  .plan = slot->plan,
                                  .job = slot->claim.job,
                                  .models = slot->worker->models,
                                  .inputs = fetched->inputs,
                                  .input_count = fetched->count,
                                  .scratch = scratch,
                                  .progress = &slot->progress,
                                  .gate = slot->worker->gate,
                                  .cancel = &slot->cancel,
                                  .log = log};
    return executor_run_job(&context, result, err);
}

/* From the store into the job's folder and back. */
static bool slot_do_job(struct slot *slot, const struct job_files *files, const char *const *artifacts,
                        const char *scratch, const struct log *log, struct work_result *result, struct error *err) {
    struct step_times times = {0};
    struct transfer transfer = {.store = slot->worker->store,
                                .cache = slot->worker->cache,
                                .files = files,
                                .folder = scratch,
                                .cancel = &slot->cancel,
                                .progress = &slot->progress,
                                .times = &times};
    _cleanup_fetched_ struct fetched fetched = {0};
    if (!transfer_fetch_sources(&transfer, artifacts, &fetched, err) ||
        !slot_execute(slot, &fetched, scratch, log, result, err) ||
        !transfer_deliver_targets(&transfer, result->report, err))
        return false;
    json_t *steps = step_times_to_json(&times);
    json_object_update_missing(steps, json_object_get(result->report, "steps_ms"));
    json_object_set_new(result->report, "steps_ms", steps);
    return true;
}

/* Afterwards the slot has the plan, also that of a plan job: the one of the store, which an earlier attempt may have
 * put there, and whose jobs may be running. */
static bool slot_compute(struct slot *slot, struct job_files *files, const struct log *log, struct work_result *result,
                         struct error *err) {
    const struct claim *claim = &slot->claim;
    _cleanup_json_ json_t *list = NULL;
    _cleanup_free_ const char **artifacts = NULL;
    if (!slot_load_campaign(slot, claim->job.campaign, err) || !slot_prepare_plan(slot, err) ||
        !executor_job_files(slot->campaign, slot->plan, &claim->job, claim->stamp, files, err) ||
        !slot_find_artifacts(slot, files, &list, &artifacts, err))
        return false;
    _cleanup_free_ char *scratch = directory_make_temporary(slot->worker->scratch, "job", err);
    if (!scratch)
        return false;
    bool done = slot_do_job(slot, files, artifacts, scratch, log, result, err);
    tree_remove(scratch);
    return done && slot_load_plan(slot, err);
}

/* ---- how it ended ---- */

/* Sleeps a while, the longer the more calls in a row have failed. The upper half is random, so that the workers of a
 * farm do not come back all at once. */
static void slot_wait_for_redis(struct slot *slot) {
    int64_t most = MIN((int64_t)RETRY_MS << CLAMP(slot->refusals, 0, 10), (int64_t)RETRY_MAX_MS);
    slot->refusals++;
    clock_sleep_ms(clock_system(), most / 2 + (int64_t)(random_unit() * (double)(most / 2)));
}

/* After a call on the queue about the slot's job has failed: true, after a pause, when it is to be called again because
 * Redis did not answer and the lease may still be ours. Calling twice is safe: the second call is refused as stale when
 * the first one was carried out. A worker that drains is bounded by the time it gives its slots to end. */
static bool slot_retries(struct slot *slot, const struct error *err) {
    enum stop_reason reason = slot->reason;
    if (err->code != ERR_QUEUE_UNAVAILABLE || (reason != STOP_NONE && reason != STOP_DRAIN))
        return false;
    slot_wait_for_redis(slot);
    return true;
}

static bool slot_publish(struct slot *slot, const struct receipt *receipt, struct error *err) {
    _cleanup_free_ struct job_spec *children = NULL;
    struct job_result published = {.artifact = receipt->artifact, .report = receipt->report};
    published.child_count = plan_children(slot->plan, &slot->claim.job, &children);
    published.children = children;
    bool finished;
    do
        finished = queue_finish(slot->queue, slot->worker->id, &slot->claim, &published, err);
    while (!finished && slot_retries(slot, err));
    slot->refusals = 0;
    return finished;
}

/* False with the store's error when the receipt could not be settled: then nothing was published. */
static bool slot_finish(struct slot *slot, const char *artifact, const struct work_result *result,
                        const struct log *log, struct error *err) {
    struct error refused = {0};
    _cleanup_receipt_ struct receipt receipt = {xstrdup(artifact), json_incref(result->report)};
    if (!receipt_settle(slot->worker->store, &slot->claim, slot->worker->id, &receipt, err))
        return error_wrap(err, "the receipt");
    if (slot_publish(slot, &receipt, &refused))
        log_write_with(log, LOG_INFO, json_incref(receipt.report), "done");
    else
        log_write(log, LOG_WARN, "the result was not published: %s", refused.message);
    return true;
}

static void slot_fail(struct slot *slot, const struct error *failure, const struct log *log) {
    struct error err = {0};
    log_write_with(log, LOG_ERROR, json_pack("{s:s}", "code", error_name(failure->code)), "%s", failure->message);
    bool recorded;
    do
        recorded = queue_fail(slot->queue, slot->worker->id, &slot->claim, failure, &err);
    while (!recorded && slot_retries(slot, &err));
    slot->refusals = 0;
    if (!recorded)
        log_write(log, LOG_WARN, "the failure was not recorded: %s", err.message);
}

static void slot_release(struct slot *slot, const struct log *log) {
    struct error err = {0};
    if (!queue_release(slot->queue, slot->worker->id, &slot->claim, &err))
        log_write(log, LOG_WARN, "the job was not released and waits for its lease to end: %s", err.message);
}

void slot_end(struct slot *slot, bool done, const char *artifact, const struct work_result *result,
              const struct error *failure, const struct log *log) {
    static const char *const words[] = {[STOP_LOST] = "the lease was lost",
                                        [STOP_CANCELLED] = "the campaign was cancelled",
                                        [STOP_DRAIN] = "draining",
                                        [STOP_TIMEOUT] = "it took too long"};
    enum stop_reason reason = slot->reason; /* read once: see its declaration */
    struct error unsettled = {0};
    if (done && (reason == STOP_NONE || reason == STOP_DRAIN)) {
        if (!slot_finish(slot, artifact, result, log, &unsettled))
            slot_fail(slot, &unsettled, log);
    } else if (reason == STOP_NONE) {
        slot_fail(slot, failure, log);
    } else {
        log_write(log, LOG_INFO, "stopped: %s", words[reason]);
        if (reason == STOP_DRAIN)
            slot_release(slot, log);
    }
}

static void slot_run_job(struct slot *slot) {
    const struct claim *claim = &slot->claim;
    struct log log = {.worker = slot->worker->id,
                      .campaign = claim->job.campaign,
                      .job_id = claim->job_id,
                      .language = claim->job.language[0] ? claim->job.language : NULL,
                      .stage = job_kind_name(claim->job.kind),
                      .attempt = claim->attempt};
    _cleanup_job_files_ struct job_files files = {0};
    _cleanup_work_result_ struct work_result result = {0};
    struct error err = {0};
    log_write(&log, LOG_INFO, "claimed");
    int64_t started = clock_monotonic_ms(clock_system());
    /* A job that came after the drain began is stopped already, and goes back without a look at it. */
    bool done = slot->reason == STOP_NONE && slot_compute(slot, &files, &log, &result, &err);
    if (done)
        json_object_set_new(result.report, "duration_ms", json_integer(clock_monotonic_ms(clock_system()) - started));
    slot_end(slot, done, done ? job_files_artifact(&files)->key : NULL, &result, &err, &log);
}

/* ---- claiming ---- */

/* No claim slips through a drain. The drain sets `draining` and then locks each slot in turn to stop what it runs. If
 * that comes after the block below, it finds the slot busy; if it comes before, the flag is seen here. */
void slot_begin(struct slot *slot, const struct claim *claim) {
    pthread_mutex_lock(&slot->lock);
    bool late = atomic_load(&slot->worker->vitals.draining);
    slot->claim = *claim;
    slot->reason = late ? STOP_DRAIN : STOP_NONE;
    atomic_store(&slot->cancel, late);
    atomic_store(&slot->progress.frames, 0);
    atomic_store(&slot->progress.of, 0);
    atomic_store(&slot->progress.step, STEP_FETCH);
    slot->busy = true;
    pthread_mutex_unlock(&slot->lock);
}

void slot_clear(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    slot->busy = false;
    pthread_mutex_unlock(&slot->lock);
    atomic_store(&slot->worker->vitals.last_busy_ms, clock_monotonic_ms(clock_system()));
}

/* A second job that is claimed early is fetched while the first one computes. Claimed too early it is kept from idle
 * workers. So: once the other slot's job is past its half. */
static bool slot_may_claim(const struct slot *slot) {
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

/* Claims a job or waits for one; true when the slot has one. */
static bool slot_claim(struct slot *slot) {
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
    bool answered = queue_claim(slot->queue, &what, &claim, 1, &count, &err);
    if (answered && count == 0)
        answered = queue_wait(slot->queue, &what, WAIT_MS, &ready, &err);
    if (!answered) {
        log_write(&(struct log){.worker = slot->worker->id}, LOG_WARN, "waiting for Redis: %s", err.message);
        slot_wait_for_redis(slot);
        return false;
    }
    slot->refusals = 0;
    if (count == 1)
        slot_begin(slot, &claim);
    return count == 1;
}

void *slot_thread(void *context) {
    struct slot *slot = context;
    struct worker *worker = slot->worker;
    while (!atomic_load(&worker->vitals.draining)) {
        pthread_mutex_lock(&worker->claiming);
        bool allowed = slot_may_claim(slot);
        bool claimed = allowed && !atomic_load(&worker->vitals.draining) && slot_claim(slot);
        pthread_mutex_unlock(&worker->claiming);
        if (claimed) {
            slot_run_job(slot);
            slot_clear(slot);
        } else if (!allowed) {
            clock_sleep_ms(clock_system(), AGAIN_MS);
        }
    }
    return NULL;
}
