/* The supervisor's heartbeats. */
#include <unistd.h>

#include "worker/supervisor.h"

enum { BEAT_TTL_MS = 15000 };

static json_t *beat_progress(const struct slot *slot) {
    return json_pack("{s:I,s:I,s:s}", "frames", (json_int_t)slot->progress.frames, "of", (json_int_t)slot->progress.of,
                     "step", step_name((enum step)slot->progress.step));
}

/* At once, and not when the job has stopped: its lease is not renewed any more. */
static void beat_fail_job(struct worker *worker, const struct slot *slot) {
    struct error failure, err;
    error_set(&failure, ERR_JOB_TIMEOUT, "the job ran past the longest time that a %s may take",
              job_kind_name(slot->claim.job.kind));
    if (!queue_fail(worker->queue, worker->id, &slot->claim, &failure, &err))
        log_write(&slot->log, LOG_WARN, "its failure was not recorded: %s", err.message);
}

/* Renews the slot's lease, and stops the job when the queue refuses. False when Redis did not answer. */
static bool beat_slot(struct worker *worker, struct slot *slot) {
    if (!slot_is_busy(slot) || (slot->reason != STOP_NONE && slot->reason != STOP_DRAIN))
        return true; /* not ours any more */
    struct error err;
    _cleanup_json_ json_t *progress = beat_progress(slot);
    if (queue_heartbeat(worker->queue, worker->id, &slot->claim, worker->options->lease_ms, progress, &err))
        return true;
    if (worker_waits_for_redis(worker, &err))
        return false;
    if (err.code == ERR_JOB_TIMEOUT)
        beat_fail_job(worker, slot);
    slot_stop(slot, err.code == ERR_CANCELLED     ? STOP_CANCELLED
                    : err.code == ERR_JOB_TIMEOUT ? STOP_TIMEOUT
                                                  : STOP_LOST);
    return true;
}

static json_t *beat_illness(const struct illness *illness) {
    return illness->ill ? json_pack("{s:s,s:s,s:I}", "code", error_name(illness->why.code), "message",
                                    illness->why.message, "since_ms", (json_int_t)illness->since_ms)
                        : json_null();
}

static json_t *beat_jobs(const struct worker *worker) {
    json_t *jobs = json_array();
    for (int i = 0; i < worker->slot_count; i++)
        if (slot_is_busy(&worker->slots[i]))
            json_array_append_new(jobs, json_string(worker->slots[i].claim.job_id));
    return jobs;
}

static json_t *beat_info(const struct worker *worker) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    json_t *pools = json_array(), *classes = json_array(), *jobs = beat_jobs(worker);
    for (size_t i = 0; i < worker->options->pool_count; i++)
        json_array_append_new(pools, json_string(pool_name(worker->options->pools[i])));
    for (int class = 0; class < CLASS_COUNT; class ++)
        if (!worker->options->only || *worker->options->only == (enum campaign_class) class)
            json_array_append_new(classes, json_string(campaign_class_name((enum campaign_class) class)));
    const char *state = worker->draining            ? "draining"
                        : json_array_size(jobs) > 0 ? "busy"
                        : worker->illness.ill       ? "ill"
                                                    : "idle";
    return json_pack("{s:s,s:i,s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "host", host, "pid", (int)getpid(), "version",
                     MELA_VERSION, "state", state, "device", worker->on_card ? "cuda" : "cpu", "pools", pools,
                     "classes", classes, "jobs", jobs, "ill", beat_illness(&worker->illness));
}

void worker_beat(struct worker *worker) {
    struct error err;
    for (int i = 0; i < worker->slot_count; i++)
        if (!beat_slot(worker, &worker->slots[i]))
            return;
    _cleanup_json_ json_t *info = beat_info(worker);
    if (queue_worker_beat(worker->queue, worker->id, info, BEAT_TTL_MS, &err))
        worker_reached_redis(worker);
    else if (!worker_waits_for_redis(worker, &err))
        log_write(&(struct log){.worker = worker->id}, LOG_WARN, "heartbeat: %s", err.message);
}
