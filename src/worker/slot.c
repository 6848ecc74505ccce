#include "worker/slot.h"

#include <string.h>
#include <sys/eventfd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "executor/executor.h"
#include "worker/supervisor.h"

enum {
    STOP_GRACE_MS = 2000,  /* for a job that was told to stop, before its executor is ended */
    START_AGAIN_MS = 1000, /* after an executor that did not start, doubled for each further one... */
    START_AGAIN_MAX_MS = 60000,
    START_MAX_MS = 15 * 60000, /* until it is ready: the largest networks take a minute, the first time several */
    DOCUMENT_MAX = 64 << 20,
};

bool slot_open(struct slot *slot, struct worker *worker, int device, struct error *err) {
    *slot = (struct slot){.worker = worker, .device = device, .executor.wire.socket = -1};
    slot->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (slot->done < 0)
        return error_set(err, ERR_INTERNAL, "cannot wait for a slot's files");
    slot->scratch = directory_make_temporary(worker->scratch, "slot", err);
    return slot->scratch != NULL;
}

/* ---- tasks ---- */

static void *slot_task_thread(void *context) {
    struct slot *slot = context;
    uint64_t one = 1;
    slot->task_good = slot->task(slot, &slot->task_err);
    ssize_t ignored = write(slot->done, &one, sizeof one); /* cannot block: it is read before the next task */
    (void)ignored;
    return NULL;
}

static void slot_fail(struct slot *slot, const struct error *failure) {
    slot->failed_in = slot->state;
    slot->outcome = OUTCOME_FAILED;
    slot->failure = *failure;
    slot->state = SLOT_ENDING;
}

/* Without a thread the job fails at once. */
static void slot_start_task(struct slot *slot, enum slot_state state, slot_task *task) {
    slot->state = state;
    slot->task = task;
    slot->has_thread = thread_start(&slot->thread, "slot-files", slot_task_thread, slot, &slot->task_err);
    if (!slot->has_thread)
        slot_fail(slot, &slot->task_err);
}

static json_t *slot_load_json(struct slot *slot, const char *key, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    return store_get(slot->worker->store, key, DOCUMENT_MAX, &bytes, err) ? json_parse(bytes.data, bytes.length, err)
                                                                          : NULL;
}

static bool slot_load_campaign(struct slot *slot, struct error *err) {
    const char *id = slot->claim.job.campaign;
    _cleanup_free_ char *key = layout_spec(id);
    _cleanup_json_ json_t *spec = slot_load_json(slot, key, err), *problems = json_array();
    if (!spec)
        return error_wrap(err, "campaign %s", id);
    slot->campaign = campaign_parse(spec, id, problems);
    return slot->campaign || error_set(err, ERR_SPEC_INVALID, "%s is not a valid spec", key);
}

static bool slot_load_plan(struct slot *slot, struct error *err) {
    _cleanup_free_ char *key = layout_plan(slot->campaign->id);
    _cleanup_json_ json_t *json = slot_load_json(slot, key, err);
    return json && (slot->plan = plan_from_json(json, err));
}

/* An earlier attempt may have stored another plan, whose jobs may be running. */
static bool slot_load_plan_that_counts(struct slot *slot, struct error *err) {
    plan_free_cleanup(&slot->plan);
    slot->plan = NULL;
    return slot_load_plan(slot, err);
}

/* What the job works on, as far as it is not that of the job before. */
static bool slot_load(struct slot *slot, struct error *err) {
    bool needs_plan = graph_needs_plan(slot->claim.job.kind);
    return (slot->campaign || slot_load_campaign(slot, err)) &&
           (!needs_plan || slot->plan || slot_load_plan(slot, err));
}

static struct transfer slot_transfer(struct slot *slot) {
    return (struct transfer){.store = slot->worker->store,
                             .cache = slot->worker->cache,
                             .files = &slot->files,
                             .folder = slot->folder,
                             .cancel = &slot->cancel,
                             .progress = &slot->progress,
                             .times = &slot->times};
}

static bool slot_fetch(struct slot *slot, struct error *err) {
    struct transfer transfer = slot_transfer(slot);
    size_t count = json_array_size(slot->artifacts);
    _cleanup_free_ const char **keys = xcalloc(count + 1, sizeof *keys);
    for (size_t i = 0; i < count; i++)
        keys[i] = json_string_value(json_array_get(slot->artifacts, i));
    return transfer_fetch_sources(&transfer, keys, &slot->fetched, err);
}

/* The first plan in the store stays for good, so one that leads nowhere must not get there. */
static bool slot_check_plan(const struct transfer *transfer, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!transfer_read_artifact(transfer, DOCUMENT_MAX, &text, err))
        return false;
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, err);
    _cleanup_plan_ struct plan *plan = json ? plan_from_json(json, err) : NULL;
    return plan || error_set(err, ERR_INTERNAL, "the job left no plan that can be used");
}

/* The store then has all that the job wrote, and the receipt that says which attempt's it is. */
static bool slot_deliver(struct slot *slot, struct error *err) {
    struct worker *worker = slot->worker;
    struct transfer transfer = slot_transfer(slot);
    json_t *report = slot->receipt.report;
    bool is_plan = slot->claim.job.kind == KIND_PLAN;
    if ((is_plan && !slot_check_plan(&transfer, err)) || !transfer_deliver_targets(&transfer, report, err))
        return false;
    _cleanup_json_ json_t *times = step_times_to_json(&slot->times);
    json_object_update(json_object_get(report, "steps_ms"), times);
    json_object_set_new(report, "duration_ms", json_integer(worker_now() - slot->began_ms));
    return (!is_plan || slot_load_plan_that_counts(slot, err)) &&
           (receipt_settle(worker->store, &slot->claim, worker->id, &slot->receipt, err) ||
            error_wrap(err, "the receipt"));
}

/* ---- a job's way ---- */

static void slot_forget_campaign(struct slot *slot) {
    campaign_free_cleanup(&slot->campaign);
    plan_free_cleanup(&slot->plan);
    slot->campaign = NULL;
    slot->plan = NULL;
}

static void slot_set_progress(struct slot *slot, int64_t frames, int64_t of, enum step step) {
    atomic_store(&slot->progress.frames, frames);
    atomic_store(&slot->progress.of, of);
    atomic_store(&slot->progress.step, step);
}

void slot_begin(struct slot *slot, const struct claim *claim) {
    slot->claim = *claim;
    const struct job_id *job = &slot->claim.job;
    slot->log = (struct log){.worker = slot->worker->id,
                             .campaign = job->campaign,
                             .job_id = slot->claim.job_id,
                             .language = job->language[0] ? job->language : NULL,
                             .stage = job_kind_name(job->kind),
                             .attempt = claim->attempt};
    slot->began_ms = worker_now();
    slot->reason = STOP_NONE;
    slot->outcome = OUTCOME_NONE;
    slot->times = (struct step_times){0};
    slot_set_progress(slot, 0, 0, STEP_FETCH);
    atomic_store(&slot->cancel, false);
    log_write(&slot->log, LOG_INFO, "claimed");
    if (slot->campaign && strcmp(slot->campaign->id, job->campaign) != 0)
        slot_forget_campaign(slot);
    slot_start_task(slot, SLOT_LOADING, slot_load);
}

/* Loaded: what it reads and writes is known. */
static void slot_prepare(struct slot *slot) {
    struct error err;
    slot->folder = directory_make_temporary(slot->scratch, "job", &err);
    if (!slot->folder ||
        !executor_job_files(slot->campaign, slot->plan, &slot->claim.job, slot->claim.stamp, &slot->files, &err)) {
        slot_fail(slot, &err);
        return;
    }
    slot->receipt.artifact = xstrdup(job_files_artifact(&slot->files)->key);
    slot->state = SLOT_ASKING;
}

/* Every job that is read from has published, but those that may have died. */
static bool slot_check_artifacts(const struct slot *slot, struct error *err) {
    for (size_t i = 0, at = 0; i < slot->files.source_count; i++) {
        const struct job_source *source = &slot->files.sources[i];
        if (!source->job)
            continue;
        const json_t *artifact = json_array_get(slot->artifacts, at++); /* json_is_string is a macro: it looks twice */
        if (!json_is_string(artifact) && !source->may_be_missing)
            return error_set(err, ERR_INTERNAL, "%s has no published artifact", source->job);
    }
    return true;
}

/* False when Redis did not answer. */
static bool slot_ask(struct slot *slot) {
    _cleanup_free_ const char **ids = xcalloc(slot->files.source_count + 1, sizeof *ids);
    struct error err;
    size_t count = 0;
    for (size_t i = 0; i < slot->files.source_count; i++)
        if (slot->files.sources[i].job)
            ids[count++] = slot->files.sources[i].job;
    if (count > 0 && !(slot->artifacts = queue_artifacts(slot->worker->queue, ids, count, &err))) {
        if (worker_waits_for_redis(slot->worker, &err))
            return false;
        slot_fail(slot, &err);
        return true;
    }
    if (!slot_check_artifacts(slot, &err)) {
        slot_fail(slot, &err);
        return true;
    }
    slot_start_task(slot, SLOT_FETCHING, slot_fetch);
    return true;
}

static json_t *slot_job_message(const struct slot *slot, bool with_spec, bool with_plan) {
    json_t *inputs = json_object();
    for (size_t i = 0; i < slot->fetched.count; i++)
        if (slot->fetched.inputs[i].path)
            json_object_set_new(inputs, slot->fetched.inputs[i].name, json_string(slot->fetched.inputs[i].path));
    json_t *message = json_pack("{s:s,s:s,s:i,s:s,s:o}", "type", "job", "job", slot->claim.job_id, "attempt",
                                slot->claim.attempt, "scratch", slot->folder, "inputs", inputs);
    if (with_spec)
        json_object_set_new(message, "spec", campaign_to_json(slot->campaign));
    if (with_plan)
        json_object_set_new(message, "plan", plan_to_json(slot->plan));
    return message;
}

/* Does nothing while the executor is not there. */
static void slot_send_job(struct slot *slot) {
    struct executor_process *executor = &slot->executor;
    struct error err;
    if (!executor->ready || executor->term_ms)
        return;
    bool knows_campaign = strcmp(executor->campaign, slot->campaign->id) == 0;
    bool with_plan = slot->plan && !(knows_campaign && executor->has_plan);
    _cleanup_json_ json_t *message = slot_job_message(slot, !knows_campaign, with_plan);
    snprintf(executor->campaign, sizeof executor->campaign, "%s", slot->campaign->id);
    executor->has_plan = slot->plan != NULL;
    slot->state = SLOT_COMPUTING;
    if (!wire_send(&executor->wire, message, &err))
        executor_process_end(executor, 0); /* it has gone, which will be seen */
}

void slot_end_task(struct slot *slot) {
    uint64_t ignored;
    ssize_t got = read(slot->done, &ignored, sizeof ignored);
    (void)got;
    if (!slot->has_thread)
        return;
    pthread_join(slot->thread, NULL);
    slot->has_thread = false;
    if (!slot->task_good)
        slot_fail(slot, &slot->task_err);
    else if (slot->reason != STOP_NONE && slot->state != SLOT_DELIVERING)
        slot->state = SLOT_ENDING;
    else if (slot->state == SLOT_LOADING)
        slot_prepare(slot);
    else if (slot->state == SLOT_FETCHING)
        slot->state = SLOT_WAITING;
    else {
        slot->outcome = OUTCOME_DONE;
        slot->state = SLOT_ENDING;
    }
}

/* ---- the executor ---- */

static void read_failure(const json_t *message, struct error *out) {
    error_set(out, error_from_name(json_get_string(message, "code", "")), "%s",
              json_get_string(message, "message", "it did not say why"));
}

/* A number that an executor says: it may say anything. */
static int64_t slot_read_count(const json_t *message, const char *member) {
    return CLAMP(json_get_integer(message, member, 0), (json_int_t)0, (json_int_t)INT32_MAX);
}

/* The steps that there are, and no others: the farm's totals have a sum for each. */
static json_t *read_steps(const json_t *steps) {
    json_t *read = json_object();
    for (int step = 0; step < STEP_COUNT; step++) {
        const char *name = step_name((enum step)step);
        if (json_is_integer(json_object_get(steps, name)))
            json_object_set_new(read, name, json_integer(slot_read_count(steps, name)));
    }
    return read;
}

/* New reference, or NULL when the message has none. What the farm counts and shows is made good; the rest is kept. */
static json_t *read_report(const json_t *message) {
    static const char *const counts[] = {"frames", "gpu_ms"}, *const own[] = {"bytes", "sha256", "duration_ms"};
    json_t *report = json_object_get(message, "report");
    if (!json_is_object(report))
        return NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++)
        json_object_set_new(report, counts[i], json_integer(slot_read_count(report, counts[i])));
    if (json_object_get(report, "pictures"))
        json_object_set_new(report, "pictures", json_integer(slot_read_count(report, "pictures")));
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++)
        json_object_del(report, own[i]);
    json_object_set_new(report, "steps_ms", read_steps(json_object_get(report, "steps_ms")));
    return json_incref(report);
}

/* It may say anything: what is no affinity is left out. */
static void slot_hear_holds(struct executor_process *executor, const json_t *holds) {
    size_t i;
    json_t *hold;
    executor->hold_count = 0;
    json_array_foreach (holds, i, hold) {
        const char *text = json_is_string(hold) ? json_string_value(hold) : "";
        size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (executor->hold_count < CLAIM_HOLDS_MAX && length > 0 && length <= AFFINITY_MAX && text[length] == '\0')
            snprintf(executor->holds[executor->hold_count++], AFFINITY_MAX + 1, "%s", text);
    }
}

static void slot_hear_result(struct slot *slot, const json_t *message, bool done) {
    struct error failure;
    slot_hear_holds(&slot->executor, json_object_get(message, "holds"));
    worker_leave_device(slot->worker, slot);
    executor_process_spare(&slot->executor);
    if (done) {
        slot->receipt.report = read_report(message);
        if (slot->receipt.report) {
            atomic_store(&slot->progress.step, STEP_UPLOAD);
            slot_start_task(slot, SLOT_DELIVERING, slot_deliver);
            return;
        }
        error_set(&failure, ERR_INTERNAL, "the executor sent no report");
    } else {
        read_failure(message, &failure);
    }
    slot_fail(slot, &failure);
}

/* Before it is ready it says so only when it cannot start. */
static void slot_hear_start(struct slot *slot, const json_t *message, bool ready) {
    struct worker *worker = slot->worker;
    slot->executor.ready = ready;
    if (ready) {
        slot->failed_starts = 0;
        worker_note_start(worker, strcmp(json_get_string(message, "device", ""), "cuda") == 0);
        return;
    }
    slot->executor.said_why = true;
    struct error why;
    read_failure(message, &why);
    worker_note_bad_start(worker, &why);
}

static void slot_hear_progress(struct slot *slot, const json_t *message) {
    slot_set_progress(slot, slot_read_count(message, "frames"), slot_read_count(message, "of"),
                      step_parse(json_get_string(message, "step", "")));
}

/* While it has the job; false as slot_obey. */
static bool slot_obey_job(struct slot *slot, const char *type, const json_t *message) {
    bool done = strcmp(type, "done") == 0;
    if (done || strcmp(type, "failed") == 0)
        slot_hear_result(slot, message, done);
    else if (strcmp(type, "progress") == 0)
        slot_hear_progress(slot, message);
    else if (strcmp(type, "enter") == 0)
        worker_enter_device(slot->worker, slot);
    else if (strcmp(type, "leave") == 0)
        worker_leave_device(slot->worker, slot);
    else
        return false;
    return true;
}

/* False when the message is none that may come now. */
static bool slot_obey(struct slot *slot, const json_t *message) {
    const char *type = json_get_string(message, "type", "");
    if (strcmp(type, "progress") == 0 && slot->state != SLOT_COMPUTING)
        return true; /* it crossed the job's end */
    bool failed = strcmp(type, "failed") == 0, ready = strcmp(type, "ready") == 0;
    if (!slot->executor.ready && (ready || failed)) {
        slot_hear_start(slot, message, ready);
        return true;
    }
    return slot->state == SLOT_COMPUTING && slot_obey_job(slot, type, message);
}

void slot_hear(struct slot *slot) {
    struct error err = {0};
    bool open = wire_read(&slot->executor.wire);
    for (bool more = true; more;) {
        _cleanup_json_ json_t *message = NULL;
        bool good = wire_next(&slot->executor.wire, &message, &err);
        more = good && message;
        if (good && (!message || slot_obey(slot, message)))
            continue;
        log_write(&slot->log, LOG_ERROR, "the executor broke its protocol and is ended: %s", err.message);
        open = more = false;
    }
    slot->executor.hung_up = !open;
    if (!open)
        executor_process_end(&slot->executor, 0);
}

static void slot_note_crash(struct slot *slot, const struct executor_end *end) {
    _cleanup_free_ char *how = executor_end_describe(end);
    atomic_fetch_add(&slot->worker->vitals.crashes, slot->reason == STOP_NONE);
    slot->outcome = OUTCOME_CRASHED;
    error_set(&slot->failure, ERR_JOB_CRASHED, "its executor ended by %s, in step %s after %lld of %lld frames", how,
              step_name((enum step)slot->progress.step), (long long)slot->progress.frames,
              (long long)slot->progress.of);
    slot->state = SLOT_ENDING;
}

void slot_lose_executor(struct slot *slot, const struct executor_end *end) {
    struct worker *worker = slot->worker;
    struct error why;
    worker_leave_device(worker, slot);
    if (slot->state == SLOT_COMPUTING)
        slot_note_crash(slot, end);
    slot->failed_starts = end->was_ready ? 0 : slot->failed_starts + 1;
    slot->start_ms = worker_now();
    if (end->was_ready || worker->draining)
        return;
    slot->start_ms += MIN((int64_t)START_AGAIN_MS << MIN(slot->failed_starts - 1, 10), (int64_t)START_AGAIN_MAX_MS);
    if (!end->said_why) {
        _cleanup_free_ char *how = executor_end_describe(end);
        error_set(&why, ERR_CHILD_FAILED, "an executor ended before it was ready: %s", how);
        worker_note_bad_start(worker, &why);
    }
}

/* One that starts for ever is ended; said_why, so that its end is not noted once more. */
static void slot_limit_start(struct slot *slot) {
    struct error why;
    if (slot->executor.ready || slot->executor.term_ms || worker_now() < slot->start_ms + START_MAX_MS)
        return;
    error_set(&why, ERR_CHILD_FAILED, "an executor was not ready after %d minutes", START_MAX_MS / 60000);
    slot->executor.said_why = true;
    worker_note_bad_start(slot->worker, &why);
    executor_process_end(&slot->executor, 0);
}

void slot_start_executor(struct slot *slot) {
    struct worker *worker = slot->worker;
    struct error err;
    if (slot->executor.pid != 0) {
        slot_limit_start(slot);
        return;
    }
    if (worker_now() < slot->start_ms)
        return;
    slot->start_ms = worker_now();
    _cleanup_(worker_command_free) char **command = worker_executor_command(worker, slot);
    if (executor_process_start(&slot->executor, (const char *const *)command, &err))
        return;
    slot->start_ms += START_AGAIN_MS;
    worker_note_bad_start(worker, &err);
}

/* ---- how it ends ---- */

static const char *slot_stop_word(enum stop_reason reason) {
    static const char *const words[] = {[STOP_LOST] = "the lease was lost",
                                        [STOP_CANCELLED] = "the campaign was cancelled",
                                        [STOP_DRAIN] = "draining",
                                        [STOP_TIMEOUT] = "it took too long"};
    return words[reason];
}

void slot_stop(struct slot *slot, enum stop_reason reason) {
    struct error err;
    if (slot->state == SLOT_FREE || slot->reason != STOP_NONE)
        return;
    slot->reason = reason;
    atomic_store(&slot->cancel, true);
    if (slot->state == SLOT_ASKING || slot->state == SLOT_WAITING)
        slot->state = SLOT_ENDING;
    if (slot->state != SLOT_COMPUTING)
        return;
    _cleanup_json_ json_t *message = json_pack("{s:s}", "type", "stop");
    executor_process_end(&slot->executor, wire_send(&slot->executor.wire, message, &err) ? STOP_GRACE_MS : 0);
}

static bool slot_finish(struct slot *slot, struct error *err) {
    _cleanup_free_ struct job_spec *children = NULL;
    struct job_result published = {.artifact = slot->receipt.artifact, .report = slot->receipt.report};
    published.child_count = graph_children(slot->campaign, slot->plan, &slot->claim.job, &children);
    published.children = children;
    return queue_finish(slot->worker->queue, slot->worker->id, &slot->claim, &published, err);
}

/* What Redis is told at the end. True, and nothing is told, when the job is not ours any more. */
static bool slot_tell(struct slot *slot, struct error *err) {
    struct queue *queue = slot->worker->queue;
    const char *worker = slot->worker->id;
    bool ours = slot->reason == STOP_NONE || slot->reason == STOP_DRAIN;
    if (ours && slot->outcome == OUTCOME_DONE)
        return slot_finish(slot, err);
    if (slot->reason == STOP_DRAIN)
        return queue_release(queue, worker, &slot->claim, err);
    if (!ours)
        return true;
    if (slot->outcome == OUTCOME_CRASHED)
        return queue_crash(queue, worker, &slot->claim, slot->failure.message, err);
    return queue_fail(queue, worker, &slot->claim, &slot->failure, err);
}

static void slot_log_end(const struct slot *slot) {
    bool ours = slot->reason == STOP_NONE || slot->reason == STOP_DRAIN;
    if (ours && slot->outcome == OUTCOME_DONE)
        log_write_with(&slot->log, LOG_INFO, json_incref(slot->receipt.report), "done");
    else if (slot->reason != STOP_NONE)
        log_write(&slot->log, LOG_INFO, "stopped: %s", slot_stop_word(slot->reason));
    else
        log_write_with(&slot->log, LOG_ERROR, json_pack("{s:s}", "code", error_name(slot->failure.code)), "%s",
                       slot->failure.message);
}

/* What fails before the campaign's own files are looked at, or after, is not up to its spec. So that this shows also
 * where there is one campaign only, its documents are read anew. An ill worker's executor is replaced: it may be it
 * that is ill, with a card that is lost to its process alone, or without the model that somebody has added since. */
static void slot_note_fault(struct slot *slot) {
    struct illness *illness = &slot->worker->illness;
    bool whatever = slot->failed_in == SLOT_LOADING || slot->failed_in == SLOT_DELIVERING;
    illness_note(illness, slot->worker->id, whatever ? "" : slot->claim.job.campaign, &slot->failure, worker_now());
    slot_forget_campaign(slot);
    if (illness->ill)
        executor_process_end(&slot->executor, 0);
}

static void slot_note_health(struct slot *slot) {
    struct illness *illness = &slot->worker->illness;
    bool own = slot->outcome == OUTCOME_FAILED && error_fault(slot->failure.code) == FAULT_WORKER;
    if (slot->reason == STOP_NONE && own)
        slot_note_fault(slot);
    else if (slot->outcome == OUTCOME_DONE || (slot->reason == STOP_NONE && slot->outcome == OUTCOME_FAILED))
        illness_end(illness, slot->worker->id);
}

static void slot_clear(struct slot *slot) {
    if (slot->folder)
        tree_remove(slot->folder);
    free(slot->folder);
    slot->folder = NULL;
    fetched_release(&slot->fetched);
    job_files_clear(&slot->files);
    json_decref(slot->artifacts);
    slot->artifacts = NULL;
    receipt_clear(&slot->receipt);
    slot->state = SLOT_FREE;
}

/* When Redis does not answer, it is told later: the lease may still be ours. Telling twice is safe: the second call is
 * refused as stale when the first one was carried out. */
static void slot_end(struct slot *slot) {
    struct error err;
    bool told = slot_tell(slot, &err);
    if (!told && worker_waits_for_redis(slot->worker, &err))
        return;
    if (!told)
        log_write(&slot->log, LOG_WARN, "Redis was not told how the job ended: %s", err.message);
    slot_log_end(slot);
    slot_note_health(slot);
    atomic_store(&slot->worker->vitals.last_busy_ms, worker_now());
    slot_clear(slot);
}

void slot_step(struct slot *slot, bool redis) {
    bool answered = redis;
    if (slot->state == SLOT_ASKING && answered)
        answered = slot_ask(slot);
    if (slot->state == SLOT_WAITING)
        slot_send_job(slot);
    if (slot->state == SLOT_ENDING && answered)
        slot_end(slot);
}

bool slot_is_willing(const struct slot *slot) {
    return slot->state == SLOT_FREE && slot->executor.ready && !slot->executor.term_ms;
}

void slot_close(struct slot *slot) {
    executor_process_close(&slot->executor);
    if (slot->state != SLOT_FREE)
        slot_clear(slot);
    slot_forget_campaign(slot);
    free(slot->scratch);
    if (slot->done >= 0)
        close(slot->done);
}
