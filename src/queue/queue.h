/* queue: jobs in Redis. Every transition is one Lua script of script/, made into C by embed.py, whose head explains the
 * comments in them that ask for code. docs/queue.md states the invariants.
 *
 * It promises: a job is run by whoever holds its lease and finished by nobody else; nothing that was
 * acknowledged is lost while Redis keeps its data; order is class first, fair between campaigns, first in
 * first out inside one; time is Redis' own. A struct queue is one connection without a lock: one thread uses it at a
 * time.
 *
 * Every function but queue_open and queue_close is one call with a deadline (two calls where that is said), reconnects
 * on its own when the connection broke before the command was sent, and fails otherwise with queue.unavailable,
 * queue.config or internal, as redis/redis.h has them; what else it fails with is said at the function. Arguments are
 * borrowed for the call. Ids: an id of wrong form is queue.not_found, a worker's name of wrong form is usage. */
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

enum { CLAIM_HOLDS_MAX = 8, QUEUE_WORKER_MAX = 64, QUEUE_KEEP_FINISHED_MS = 7 * 24 * 3600 * 1000 };

/* Connects and checks the server: version 6.2 or later, no eviction. NULL with queue.config or queue.unavailable; the
 * caller closes it otherwise. `options` are copied. The process must ignore SIGPIPE (base/process.h), or a server that
 * dies ends it. */
struct queue *queue_open(const struct queue_options *options, struct error *err) must_check;
void queue_close(struct queue *queue);
DEFINE_CLEANUP(struct queue *, queue_close)
#define _cleanup_queue_ _cleanup_(queue_close_cleanup)
/* Whether Redis answers. */
bool queue_ping(struct queue *queue, struct error *err) must_check;

/* ---- campaigns ---- */

/* Adds a campaign with the jobs with which it begins (farm/graph.h), in one script. The spec must be in the store
 * already (docs/queue.md, promise 8). Submitting the same id and spec hash again changes nothing and succeeds with
 * *created false. Another hash is queue.exists; an expired campaign of this id that is still being removed is
 * queue.unavailable. */
bool queue_submit(struct queue *queue, const struct campaign *campaign, const char *spec_sha256, bool *created,
                  struct error *err) must_check;
/* Cancels every open job of the campaign and the campaign; workers that hold one learn it at their next heartbeat.
 * Cancelling again succeeds. queue.not_found; queue.state when it has ended otherwise. */
bool queue_cancel(struct queue *queue, const char *campaign, struct error *err) must_check;
/* Revives a dead job and whatever its death ended; a sheet that does not run yet waits for it again. queue.not_found;
 * queue.state when it is not dead, its campaign was cancelled, or another job's death ended the campaign. */
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
    const char *worker; /* its id: 1 to QUEUE_WORKER_MAX letters, digits and ._:- */
    const enum pool *pools;
    size_t pool_count;
    int lease_ms;                    /* the same for all workers of a farm (docs/queue.md, "Waking") */
    const enum campaign_class *only; /* claim and wait for jobs of this class alone; NULL: of both */
    /* Affinities (farm/job.h) of what the claiming slot has loaded, newest first; the first CLAIM_HOLDS_MAX of them
     * count. Jobs with one of these go first, within bounds (docs/queue.md, "Affinity"). With none of them loaded,
     * `hold_count` 0, the slot gets what nobody else has loaded, if there is any. NULL: the order is as without
     * affinities. */
    const char *const *holds;
    size_t hold_count;
};

/* Claims up to `capacity` jobs without waiting, into the caller's `claims`; *count may be 0. Never sent twice: when the
 * reply is lost, what was claimed comes back when its lease runs out, counted as a crash. */
bool queue_claim(struct queue *queue, const struct claim_options *options, struct claim *claims, size_t capacity,
                 size_t *count, struct error *err) must_check;
/* Blocks up to `wait_ms` until a job of these pools may be ready. Success with *ready false is a time-out. Several
 * calls, each with its own deadline. */
bool queue_wait(struct queue *queue, const struct claim_options *options, int wait_ms, bool *ready,
                struct error *err) must_check;
/* queue_wait in two halves, for a thread that has other things to wait for. After the begin *ready says whether a job
 * may be ready now; if not, the wait has begun, and until its end the queue may be used for nothing else. It takes up
 * to `wait_ms`, less where a job is due sooner. */
bool queue_wait_begin(struct queue *queue, const struct claim_options *options, int wait_ms, bool *ready,
                      struct error *err) must_check;
/* What to poll until a wait that has begun can end. */
int queue_wait_descriptor(const struct queue *queue);
/* The end of a wait: blocks until Redis answers. *ready as for queue_wait. */
bool queue_wait_end(struct queue *queue, bool *ready, struct error *err) must_check;
/* Ends a wait whose answer nobody wants any more. */
void queue_wait_abandon(struct queue *queue);
/* Renews the lease and stores progress, a small JSON object such as {"frames":120,"of":240,"step":"lips"} (may be
 * NULL). The worker stops the job on each of these: queue.stale, the lease is lost; cancelled, the campaign or the
 * language has ended; job.timeout, the job ran past the longest time its kind may take, and the worker may still fail
 * it with that. */
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

/* Publishes the artifact, brings the children into being, counts down the job that waits, ends the job: one script. A
 * child that exists already is left as it is. Repeating it succeeds and changes nothing. queue.stale when the lease is
 * lost, cancelled when the job was, queue.state when a child leads to no job: then nothing was published. */
bool queue_finish(struct queue *queue, const char *worker, const struct claim *claim, const struct job_result *result,
                  struct error *err) must_check;
/* queue_finish, and if it succeeds queue_claim, in one round trip. When the reply is lost and it is sent again, nothing
 * is claimed the second time; what was claimed the first time comes back when the lease runs out. */
bool queue_finish_and_claim(struct queue *queue, const struct claim_options *options, const struct claim *claim,
                            const struct job_result *result, struct claim *claims, size_t capacity, size_t *count,
                            struct error *err) must_check;
/* queue_finish of several claims of one worker, and if one of them succeeds queue_claim, in one round trip: for jobs so
 * short that the round trip counts. `results` and `refusals` have an element for each of `done`. Each finish stands by
 * itself: refusals[i].code is ERR_NONE, or why done[i] was refused. A lost reply is as in queue_finish_and_claim. */
bool queue_finish_many(struct queue *queue, const struct claim_options *options, const struct claim *done,
                       const struct job_result *results, size_t done_count, struct error *refusals,
                       struct claim *claims, size_t capacity, size_t *count, struct error *err) must_check;
/* The job ended in an error. What follows depends on whose fault its code is (error_fault). The input's makes the job
 * dead. The world's is counted among its errors, this worker's among its refusals, and either kills it once enough
 * different workers had it (docs/queue.md, "The failure policy"); else it is delayed, longer each time and by chance,
 * and keeps its place. queue.stale or cancelled when the lease is lost. Not sent twice: when the caller repeats it
 * after a lost reply, queue.stale may mean that the first one was carried out. */
bool queue_fail(struct queue *queue, const char *worker, const struct claim *claim, const struct error *failure,
                struct error *err) must_check;
/* The process that ran the job has died, of a signal or for lack of memory, and the worker lives on: a crash, counted
 * as one whose lease ran out, but at once. `message` is what is known, "signal 11 in step encode", and stands in the
 * job's error. The job is ready again at its place, or dead. Errors as of queue_fail. */
bool queue_crash(struct queue *queue, const char *worker, const struct claim *claim, const char *message,
                 struct error *err) must_check;
/* Gives the job back unharmed, for a drain: neither an error nor a crash; it keeps its place. Errors as of queue_fail.
 */
bool queue_release(struct queue *queue, const char *worker, const struct claim *claim, struct error *err) must_check;

enum adoption { ADOPT_LEASED, ADOPT_OPEN, ADOPT_DONE, ADOPT_ENDED, ADOPT_BUSY };
/* Leases a job whose result is in the store to whoever restores it, past its place in line and also from a worker that
 * holds it; queue_finish then publishes the result. Creates the job when Redis has lost it. *adoption: ADOPT_LEASED
 * with *claim; ADOPT_OPEN only in a dry run, which changes nothing; ADOPT_DONE; ADOPT_ENDED: it, its language or its
 * campaign; ADOPT_BUSY: another restorer has it, so try again. `worker` begins with "restore-". queue.not_found without
 * the campaign, queue.state when the job that waits for it is missing. Not sent twice; a lost reply costs the length of
 * the lease. */
bool queue_adopt(struct queue *queue, const char *worker, const struct job_spec *job, int lease_ms, bool dry_run,
                 enum adoption *adoption, struct claim *claim, struct error *err) must_check;
/* A worker's beat: it lives, and queue_workers shows it until `ttl_ms` passed. `info` is an object: host, pid, pools,
 * device, job_id, state ... */
bool queue_worker_beat(struct queue *queue, const char *worker, const json_t *info, int ttl_ms,
                       struct error *err) must_check;
/* The worker signs off: it is shown no more, and noted as gone rather than lost. */
bool queue_worker_gone(struct queue *queue, const char *worker, struct error *err) must_check;

enum hold { HOLD_CALENDAR, HOLD_BY_HAND, RUN_BY_HAND };
/* Holds a class of a pool until a Unix time: none of its jobs is claimed, what is leased goes on. What was set by hand
 * goes before the calendar, and RUN_BY_HAND lets the class run whatever the calendar says. `until_ms` 0 (or past) ends
 * what was set, INT64_MAX never ends. A change wakes a waiting worker. */
bool queue_hold(struct queue *queue, enum pool pool, enum campaign_class class, enum hold hold, int64_t until_ms,
                struct error *err) must_check;

/* Stores when jobs are given up, for all workers at once; until somebody has, the defaults hold. Repeating it changes
 * nothing. */
bool queue_set_failure(struct queue *queue, const struct failure_policies *policies, struct error *err) must_check;

/* House-keeping: makes jobs ready whose leases ran out (claims do so too), removes campaigns that ended more than
 * `keep_ms` ago with all their keys. Of each a bounded piece a call; *more: there was something to do, so call again. A
 * server calls it about once a second; it does no harm from several places at once. */
bool queue_sweep(struct queue *queue, int64_t keep_ms, bool *more, struct error *err) must_check;

/* ---- reading ----
 * What returns JSON returns a new reference, or NULL. A page has at most `limit` items; `cursor` is NULL for the first
 * one, else the "next" of the page before, which is null after the last one. */

/* {"id","name","workload","class","state","submitted_ms","finished_ms","deadline_ms","held_until_ms","spec_sha256",
 * "jobs":{"ready":1,...},"languages":[{"language","state","error","job"}]}; workload: dubs, images; languages: none of
 * images; state: running, done, partial, failed,
 * cancelled; of images also "pictures": {"of","done"}. error and job, the one that ended the language, are null unless
 * it failed. held_until_ms is until when ready jobs of it may not begin because their class is held, null when they
 * may. queue.not_found. */
json_t *queue_campaign(struct queue *queue, const char *campaign, struct error *err) must_check;
/* {"items":[campaigns as above],"next":"cursor"|null}, newest first. api.bad_request for a cursor of wrong form. */
json_t *queue_campaigns(struct queue *queue, const char *cursor, int limit, struct error *err) must_check;
/* {"items":[jobs as below],"next":"cursor"|null}, in the order of their ids. queue.not_found. Two calls. */
json_t *queue_jobs(struct queue *queue, const char *campaign, const char *cursor, int limit,
                   struct error *err) must_check;
/* {"id","campaign","kind","language","index","state","attempt","worker","created_ms","ready_ms","claimed_ms",
 * "finished_ms","affinity","progress","artifact","report","errors","refusals","crashes","error":{"code","message"}};
 * "affinity" only of a job that has one. queue.not_found. */
json_t *queue_job(struct queue *queue, const char *job_id, struct error *err) must_check;
/* A page of dead jobs, the latest death first. Two calls. api.bad_request for a cursor of wrong form. */
json_t *queue_dead(struct queue *queue, const char *cursor, int limit, struct error *err) must_check;
/* The keys of the published artifacts of `count` jobs, all of one campaign, as a JSON array of strings in the same
 * order; null where there is none. */
json_t *queue_artifacts(struct queue *queue, const char *const *job_ids, size_t count, struct error *err) must_check;
enum { EVENT_ID_MAX = 41 }; /* characters of an event's id: two 64-bit numbers and a dash */
/* Events after `last_id` ("0": all kept; "$": only new), blocking up to `wait_ms` when there are none:
 * [{"id":"1699-0","type":"job|progress|campaign","data":{...}}...]. `campaign` NULL: of the whole farm: campaigns only,
 * and "work" with {"pool"} when a pool has new jobs. */
json_t *queue_events(struct queue *queue, const char *campaign, const char *last_id, int wait_ms, int limit,
                     struct error *err) must_check;
/* Who lives: [{"id", "seen_ms", and the members of its latest beat's info}...]. */
json_t *queue_workers(struct queue *queue, struct error *err) must_check;
/* [{"id","came_ms","gone_ms","lost"}...] of the workers that lived at some time after `since_ms`, in the order in which
 * they came, as far as the history goes back (about 5,000 workers). gone_ms is null for one that lives. One that did
 * not sign off is lost, and gone_ms is when it was last heard of. One that was lost and came again is listed twice. Two
 * calls. */
json_t *queue_worker_history(struct queue *queue, int64_t since_ms, struct error *err) must_check;

/* What a pool has to do, by class. */
struct pool_counts {
    int64_t ready[CLASS_COUNT], leased[CLASS_COUNT];
    int64_t delayed[CLASS_COUNT];       /* due within `due_within_ms` */
    int64_t held_until_ms[CLASS_COUNT]; /* Unix time; 0: not held */
    int64_t oldest_ready_ms;            /* age of the oldest ready job whose class is not held, 0 when there is none */
};
bool queue_pool_counts(struct queue *queue, enum pool pool, int64_t due_within_ms, struct pool_counts *out,
                       struct error *err) must_check;
/* Farm totals that survive scale to zero: {"jobs_done":{"dub":12,...},"jobs_failed":{...},"job_errors":{...},
 * "job_refusals":{...},"job_ms":{...},"gpu_ms":{...},"job_crashes":...,"campaigns_ended":{"done":...},"frames":...,
 * "bytes":...,"step_ms":{"lips":...}}; what never happened is missing. */
json_t *queue_totals(struct queue *queue, struct error *err) must_check;
/* {"dead": jobs, "open": campaigns, "campaigns": [{"id","name","jobs":{"ready":1,...}}...]}: the newest `most` of those
 * that are open. */
json_t *queue_overview(struct queue *queue, int most, struct error *err) must_check;

/* The Redis server itself, by INFO. */
struct redis_state {
    int64_t memory_bytes;
    int64_t memory_limit_bytes; /* 0: none */
    int64_t clients, commands;  /* connected now; processed since its start */
    bool persists;              /* the last writes to its append-only file and its snapshots went well */
};
bool queue_redis_state(struct queue *queue, struct redis_state *out, struct error *err) must_check;
