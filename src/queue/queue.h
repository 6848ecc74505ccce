/* queue: jobs in Redis. Every transition is one Lua script of script/, made into C by embed.py, whose head explains the
 * comments `include`, `on demand` and `defaults` in them. docs/queue.md states the invariants.
 *
 * It promises: a job is run by whoever holds its lease and finished by nobody else; nothing that was
 * acknowledged is lost while Redis keeps its data; order is class first, fair between campaigns, first in
 * first out inside one; time is Redis' own. A struct queue is one connection and is used by one thread. Every
 * call has a deadline, reconnects on its own when the connection broke before the command was sent, and fails
 * with queue.unavailable otherwise. */
#pragma once

#include "farm/failure.h"
#include "farm/farm.h"

struct queue;

struct queue_options {
    /* redis://[user:password@]host:port[/db], rediss://...[?ca=FILE] where hiredis has TLS, unix:///path */
    const char *url;
    const char *farm; /* namespace; every key carries the hash tag {farm}; NULL: "mela" */
    int timeout_ms;   /* of one call, waiting aside; 0: 5000 */
};

enum { QUEUE_WORKER_MAX = 64, QUEUE_KEEP_FINISHED_MS = 7 * 24 * 3600 * 1000 };

/* The process must ignore SIGPIPE (base/process.h): a server that dies must not end it. Connects and checks the server:
 * noeviction, version >= 6.2; queue.config or queue.unavailable otherwise. */
struct queue *queue_open(const struct queue_options *options, struct error *err) must_check;
void queue_close(struct queue *queue);
DEFINE_CLEANUP(struct queue *, queue_close)
#define _cleanup_queue_ _cleanup_(queue_close_cleanup)
bool queue_ping(struct queue *queue, struct error *err) must_check;

/* ---- campaigns ---- */

/* Adds a campaign with its plan job ready. The spec must be in the store already (invariant 8). Submitting
 * the same id and spec hash again changes nothing and succeeds with *created false; another hash is
 * queue.exists. */
bool queue_submit(struct queue *queue, const struct campaign *campaign, const char *spec_sha256, bool *created,
                  struct error *err) must_check;
/* Ends every job of the campaign that is not ended; leased ones learn it at their next heartbeat. */
bool queue_cancel(struct queue *queue, const char *campaign, struct error *err) must_check;
/* Revives a dead job and whatever its death ended. queue.state when it is not dead. */
bool queue_retry(struct queue *queue, const char *job_id, struct error *err) must_check;

/* ---- workers ---- */

struct claim {
    char job_id[JOB_ID_MAX + 1];
    struct job_id job;
    int attempt;
    /* "<attempt>-<ten hexadecimal digits>": no other claim of the job has it, also if Redis lost data in between. It
     * fences the calls below and names the artifact. */
    char stamp[STAMP_MAX + 1];
    enum campaign_class class;
};

struct claim_options {
    const char *worker; /* id of the worker */
    const enum pool *pools;
    size_t pool_count;
    int lease_ms;
    const enum campaign_class *only; /* claim and wait for jobs of this class alone; NULL: of both */
};

/* Claims up to `capacity` jobs without waiting; *count may be 0. */
bool queue_claim(struct queue *queue, const struct claim_options *options, struct claim *claims, size_t capacity,
                 size_t *count, struct error *err) must_check;
/* Blocks up to `wait_ms` until a job of these pools may be ready. Success with *ready false is a time-out. */
bool queue_wait(struct queue *queue, const struct claim_options *options, int wait_ms, bool *ready,
                struct error *err) must_check;
/* Renews the lease and stores progress, a small JSON object such as {"frames":120,"of":240,"step":"lips"}
 * (may be NULL). queue.stale: the lease is lost; cancelled: the campaign or the language has ended;
 * job.timeout: the job ran past the longest time its kind may take, and the worker may still fail it with
 * that. In any case it stops the job. */
bool queue_heartbeat(struct queue *queue, const char *worker, const struct claim *claim, int lease_ms,
                     const json_t *progress, struct error *err) must_check;

struct job_result {
    const char *artifact; /* store key that this attempt wrote; "" for none. Published by the finish */
    /* {"frames":240,"duration_ms":...,"gpu_ms":...,"steps_ms":{"decode":12,...},"bytes":...,...}; these are added to
     * the farm's totals, and all of it is kept with the job for trace. */
    const json_t *report;
    const struct job_spec *children;
    size_t child_count;
};

/* Publishes the artifact, spawns children, counts down `next`, ends the job: one script. A child that exists
 * already is left as it is. queue.stale when the lease is lost: nothing was published. */
bool queue_finish(struct queue *queue, const char *worker, const struct claim *claim, const struct job_result *result,
                  struct error *err) must_check;
/* queue_finish, and if it succeeds queue_claim, in one round trip. When its first reply is lost and it is sent again
 * nothing is claimed the second time; what the first one claimed comes back when the lease runs out. */
bool queue_finish_and_claim(struct queue *queue, const struct claim_options *options, const struct claim *claim,
                            const struct job_result *result, struct claim *claims, size_t capacity, size_t *count,
                            struct error *err) must_check;
/* queue_finish of several claims of one worker, and if one of them succeeds queue_claim, in one round trip: for jobs so
 * short that the way to Redis counts. Each finish stands by itself: refusals[i].code is ERR_NONE or why done[i] was
 * refused. When the first reply is lost nothing is claimed by the second, as above. */
bool queue_finish_many(struct queue *queue, const struct claim_options *options, const struct claim *done,
                       const struct job_result *results, size_t done_count, struct error *refusals,
                       struct claim *claims, size_t capacity, size_t *count, struct error *err) must_check;
/* The job ended in an error. Permanent ones, and the last allowed attempt, make it dead; else it is delayed
 * with backoff and jitter and keeps its place. */
bool queue_fail(struct queue *queue, const char *worker, const struct claim *claim, const struct error *failure,
                struct error *err) must_check;
/* Gives the job back unharmed (drain, preemption): neither an error nor a crash; it keeps its place. */
bool queue_release(struct queue *queue, const char *worker, const struct claim *claim, struct error *err) must_check;
enum adoption { ADOPT_LEASED, ADOPT_OPEN, ADOPT_DONE, ADOPT_ENDED, ADOPT_BUSY };
/* Leases a job whose result is in the store to whoever restores it, past its place in line; queue_finish then publishes
 * the result. Creates the job when Redis has lost it. *adoption: ADOPT_LEASED with *claim; ADOPT_OPEN in a dry run,
 * which changes nothing; ADOPT_DONE; ADOPT_ENDED: it, its language or its campaign; ADOPT_BUSY: another restorer has
 * it. `worker` begins with "restore-". queue.not_found without the campaign. */
bool queue_adopt(struct queue *queue, const char *worker, const struct job_spec *job, int lease_ms, bool dry_run,
                 enum adoption *adoption, struct claim *claim, struct error *err) must_check;
/* Tells that this worker lives: shown by queue_workers until `ttl_ms` passed. `info` is an object: host, pid,
 * pools, device, job_id, state ... */
bool queue_worker_beat(struct queue *queue, const char *worker, const json_t *info, int ttl_ms,
                       struct error *err) must_check;
bool queue_worker_gone(struct queue *queue, const char *worker, struct error *err) must_check;

enum hold { HOLD_CALENDAR, HOLD_BY_HAND, RUN_BY_HAND };
/* Holds a class of a pool until a Unix time: no claim takes its jobs, what is leased goes on. What was set by
 * hand wins over the calendar's, and RUN_BY_HAND means that the calendar does not hold; `until_ms` 0 (or past)
 * ends it, INT64_MAX never ends. Wakes idle workers. */
bool queue_hold(struct queue *queue, enum pool pool, enum campaign_class class, enum hold hold, int64_t until_ms,
                struct error *err) must_check;

/* Stores when jobs are given up, for all workers at once; until somebody has, the defaults hold. Repeating it changes
 * nothing. */
bool queue_set_failure(struct queue *queue, const struct failure_policies *policies, struct error *err) must_check;

/* A bounded piece of house-keeping: returns expired leases to ready (claims do so too) and removes campaigns
 * that ended more than `keep_ms` ago with all their keys, and keeps the tallies that KEDA's redis trigger
 * counts. *more: there was something to do, so call again.
 * Whoever runs all the time calls it about once a second; it does no harm from several places at once. */
bool queue_sweep(struct queue *queue, int64_t keep_ms, bool *more, struct error *err) must_check;

/* ---- reading ----
 * All return new references. */

/* {"id","name","class","state","submitted_ms","finished_ms","deadline_ms","held_until_ms","spec_sha256",
 * "jobs":{"ready":1,...},"languages":[{"language","state","error","job"}]}; state: running, done, partial, failed,
 * cancelled. error and job, the one that ended the language, are null unless it failed. held_until_ms is until when
 * ready jobs of it may not begin because their class is held, null when they may. queue.not_found. */
json_t *queue_campaign(struct queue *queue, const char *campaign, struct error *err) must_check;
/* {"items":[...],"next":"cursor"|null}: newest first. `cursor` NULL: from the start. */
json_t *queue_campaigns(struct queue *queue, const char *cursor, int limit, struct error *err) must_check;
/* {"items":[job...],"next":...}: in id order. */
json_t *queue_jobs(struct queue *queue, const char *campaign, const char *cursor, int limit,
                   struct error *err) must_check;
/* {"id","campaign","kind","language","index","state","attempt","worker","created_ms","ready_ms","claimed_ms",
 * "finished_ms","progress","artifact","report","errors","crashes","error":{"code","message"}}. */
json_t *queue_job(struct queue *queue, const char *job_id, struct error *err) must_check;
json_t *queue_dead(struct queue *queue, const char *cursor, int limit, struct error *err) must_check;
/* The published artifact keys of `count` jobs of one campaign, as a JSON array of strings; null where there
 * is none. */
json_t *queue_artifacts(struct queue *queue, const char *const *job_ids, size_t count, struct error *err) must_check;
/* Events after `last_id` ("0": all kept; "$": only new), blocking up to `wait_ms` when there are none:
 * [{"id":"1699-0","type":"job|progress|campaign","data":{...}}...]. `campaign` NULL: of the whole farm: campaigns only,
 * and "work" with {"pool"} when a pool has new jobs. */
json_t *queue_events(struct queue *queue, const char *campaign, const char *last_id, int wait_ms, int limit,
                     struct error *err) must_check;
/* [{"id", "seen_ms", ...info}] */
json_t *queue_workers(struct queue *queue, struct error *err) must_check;
/* [{"id","came_ms","gone_ms","lost"}], in the order of their coming: the workers of late, among them all that were
 * there at some time after `since_ms`, as far as it is known (about 5,000 are). gone_ms is null for one that lives, and
 * for one that is lost, having not signed off, when it was last heard of. One that was lost and came again is two. */
json_t *queue_worker_history(struct queue *queue, int64_t since_ms, struct error *err) must_check;

struct pool_counts {
    int64_t ready[CLASS_COUNT], leased[CLASS_COUNT];
    int64_t delayed[CLASS_COUNT];       /* due within `due_within_ms` */
    int64_t held_until_ms[CLASS_COUNT]; /* Unix time; 0: not held */
    int64_t oldest_ready_ms;            /* age of the oldest ready job whose class is not held, 0 when there is none */
};
bool queue_pool_counts(struct queue *queue, enum pool pool, int64_t due_within_ms, struct pool_counts *out,
                       struct error *err) must_check;
/* Farm totals that survive scale to zero: {"jobs_done":{"dub":12,...},"jobs_failed":{...},"job_errors":{...},
 * "job_ms":{...},"gpu_ms":{...},"job_crashes":...,"campaigns_ended":{"done":...},"frames":...,"bytes":...,
 * "step_ms":{"lips":...}}; what never happened is missing. */
json_t *queue_totals(struct queue *queue, struct error *err) must_check;
/* {"dead": jobs, "open": campaigns, "campaigns": [{"id","name","jobs":{"ready":1,...}}...]}: the newest `most` of those
 * that are open. */
json_t *queue_overview(struct queue *queue, int most, struct error *err) must_check;

/* Of the Redis server itself. */
struct redis_state {
    int64_t memory_bytes, memory_limit_bytes /* 0: none */, clients, commands;
    bool persists; /* the last writes to its append-only file and its snapshots went well */
};
bool queue_redis_state(struct queue *queue, struct redis_state *out, struct error *err) must_check;
