#include "queue_rates.h"
#include "base/thread.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "queue/queue.h"
#include "redis/local.h"

enum {
    CAMPAIGN_JOBS = 1000, /* dubs of one campaign */
    LEASE_MS = 600000,
    BATCH = 8,
    LATENCY_SAMPLES = 1000,
    COST_SAMPLES = 2000,
    JOBS_A_SECOND = 60000, /* more than any crew finishes: its queue must not run empty */
};

static const int worker_counts[] = {1, 8, 32, 100};
static const enum pool pools[] = {POOL_LIPSYNC, POOL_CPU};

/* About 200 bytes of JSON, as a dub reports. */
static json_t *make_report(void) {
    return json_pack("{s:i,s:i,s:i,s:i,s:{s:i,s:i,s:i,s:i,s:i,s:i,s:i},s:s}", "frames", 240, "bytes", 1843200, "width",
                     1920, "height", 1080, "steps_ms", "fetch", 41, "decode", 812, "mel", 3, "lips", 2213, "blend", 640,
                     "encode", 1534, "upload", 77, "model", "lips-basic@0123456789abcdef");
}

struct bench {
    struct local_redis *redis;
    struct queue *queue;
    json_t *report;
    int campaigns; /* made so far: the number in the next one's name */
    double seconds;
};

static double now_s(void) { return (double)clock_monotonic_ns(clock_system()) / 1e9; }

static struct queue *open_queue(const struct bench *bench, struct error *err) {
    struct queue_options options = {.url = local_redis_url(bench->redis), .timeout_ms = 60000};
    return queue_open(&options, err);
}

static struct claim_options claim_options(const char *worker) {
    return (struct claim_options){.worker = worker, .pools = pools, .pool_count = 2, .lease_ms = LEASE_MS};
}

/* Sends one command, its words separated by spaces, on a connection of its own. Caller frees the reply. */
static redisReply *ask(const struct bench *bench, const char *command, struct error *err) {
    redisContext *context = redisConnectUnix(local_redis_url(bench->redis) + strlen("unix://"));
    redisReply *reply = context && !context->err ? redisCommand(context, command) : NULL;
    if (context)
        redisFree(context);
    if (!reply)
        error_set(err, ERR_QUEUE_UNAVAILABLE, "the benchmark's Redis does not answer");
    return reply;
}

/* A number of INFO, such as "used_memory:"; -1 with *err when there is none. */
static double info_number(const struct bench *bench, const char *section, const char *name, struct error *err) {
    _cleanup_free_ char *command = xasprintf("INFO %s", section);
    redisReply *reply = ask(bench, command, err);
    const char *found = reply ? strstr(reply->str, name) : NULL;
    double value = found ? strtod(found + strlen(name), NULL) : -1;
    if (reply && !found)
        error_set(err, ERR_QUEUE_UNAVAILABLE, "the benchmark's Redis has no %s in INFO %s", name, section);
    if (reply)
        freeReplyObject(reply);
    return value;
}

/* Seconds of processor time that the server has used. */
static double server_cpu(const struct bench *bench) {
    struct error ignored;
    return info_number(bench, "cpu", "used_cpu_sys:", &ignored) + info_number(bench, "cpu", "used_cpu_user:", &ignored);
}

static bool empty_redis(struct bench *bench, struct error *err) {
    redisReply *reply = ask(bench, "FLUSHALL SYNC", err);
    if (reply)
        freeReplyObject(reply);
    return reply != NULL;
}

/* Waits until the server has rewritten its log, which it does while the queue grows: that is part of the filling, and
 * must not slow down what is measured next. */
static bool settle(const struct bench *bench, struct error *err) {
    double busy;
    while ((busy = info_number(bench, "persistence", "aof_rewrite_in_progress:", err)) > 0 ||
           (busy == 0 && info_number(bench, "persistence", "aof_rewrite_scheduled:", err) > 0))
        clock_sleep_ms(clock_system(), 20);
    return busy == 0;
}

/* ---- adding ---- */

static bool submit_one(struct queue *queue, const char *id, struct error *err) {
    static char language[] = "hi", name[] = "Benchmark";
    struct dub dub = {.language = language};
    struct campaign campaign = {
        .id = (char *)(uintptr_t)id, .name = name, .class = CLASS_BATCH, .dubs = &dub, .dub_count = 1};
    bool created;
    return queue_submit(queue, &campaign, "0000000000000000000000000000000000000000000000000000000000000000", &created,
                        err);
}

/* Claims the campaign's plan and finishes it with these children; the time of that finish is added to *seconds. */
static bool finish_plan(struct bench *bench, const char *campaign, const struct job_spec *children, size_t count,
                        double *seconds, struct error *err) {
    struct claim_options options = {.worker = "setup", .pools = &pools[1], .pool_count = 1, .lease_ms = LEASE_MS};
    struct job_result result = {.artifact = "", .report = bench->report, .children = children, .child_count = count};
    struct claim claim;
    size_t claimed;
    do { /* joins of earlier campaigns may come first */
        if (!queue_claim(bench->queue, &options, &claim, 1, &claimed, err) ||
            (claimed == 0 && !error_set(err, ERR_INTERNAL, "the plan of %s is not ready", campaign)))
            return false;
        bool plan = claim.job.kind == KIND_PLAN;
        result.child_count = plan ? count : 0;
        double start = now_s();
        if (!queue_finish(bench->queue, options.worker, &claim, &result, err))
            return false;
        *seconds += plan ? now_s() - start : 0;
    } while (claim.job.kind != KIND_PLAN);
    return true;
}

/* Makes campaigns of CAMPAIGN_JOBS ready dubs, each with its join waiting, until there are `jobs` dubs. *seconds: how
 * long the calls took that made the dubs. */
static bool fill(struct bench *bench, int64_t jobs, double *seconds, struct error *err) {
    _cleanup_free_ struct job_spec *children = xnew_array(struct job_spec, CAMPAIGN_JOBS + 1);
    *seconds = 0;
    for (int64_t made = 0; made < jobs; made += CAMPAIGN_JOBS) {
        struct job_id id = {.kind = KIND_JOIN, .language = "hi"};
        snprintf(id.campaign, sizeof id.campaign, "a-short-film-%09d", bench->campaigns++);
        job_id_format(&id, children[CAMPAIGN_JOBS].id);
        children[CAMPAIGN_JOBS].waits_for = CAMPAIGN_JOBS;
        id.kind = KIND_DUB;
        for (id.index = 0; id.index < CAMPAIGN_JOBS; id.index++) {
            job_id_format(&id, children[id.index].id);
            memcpy(children[id.index].next, children[CAMPAIGN_JOBS].id, sizeof children->next);
        }
        if (!submit_one(bench->queue, id.campaign, err) ||
            !finish_plan(bench, id.campaign, children, CAMPAIGN_JOBS + 1, seconds, err))
            return false;
    }
    return true;
}

/* ---- many workers ---- */

enum mode { MODE_SUBMIT, MODE_SEPARATE, MODE_FUSED, MODE_BATCH, MODE_BARE, MODE_COUNT };

/* Workers that do the same thing for the same time. The two counters are only added to, so that the order of memory
 * does not matter; they are read when all members have been joined. */
struct crew {
    struct bench *bench;
    enum mode mode;
    sem_t connected, begin; /* one post a member: it is ready; it may begin */
    double until;           /* written before `begin` is posted, and never again */
    atomic_int next_bare;   /* number of the next job of the bare script */
    atomic_long done;
    const char *bare_sha1;
    int campaigns; /* that the bare script's jobs are of */
};

struct member {
    struct crew *crew;
    pthread_t thread;
    char name[16];
    bool ok;
    struct error err;
};

static bool member_has_time(const struct member *member) { return now_s() < member->crew->until; }

static bool member_submit(struct member *member, struct queue *queue, struct error *err) {
    for (int i = 0; member_has_time(member); i++) {
        _cleanup_free_ char *id = xasprintf("single-%s-%d-%d", member->name, member->crew->bench->campaigns, i);
        if (!submit_one(queue, id, err))
            return false;
        atomic_fetch_add(&member->crew->done, 1);
    }
    return true;
}

/* Finishes claims; and where `capacity` is not 0 claims again in the same round trip. */
static bool finish_claims(struct member *member, struct queue *queue, const struct claim *done, size_t done_count,
                          struct claim *claims, size_t capacity, size_t *count, struct error *err) {
    struct claim_options options = claim_options(member->name);
    struct job_result results[BATCH];
    struct error refusals[BATCH];
    char *artifacts[BATCH];
    for (size_t i = 0; i < done_count; i++) {
        artifacts[i] = layout_artifact(&done[i].job, done[i].stamp);
        results[i] = (struct job_result){.artifact = artifacts[i], .report = member->crew->bench->report};
    }
    bool ok = queue_finish_many(queue, &options, done, results, done_count, refusals, claims, capacity, count, err);
    for (size_t i = 0; i < done_count; i++) {
        free(artifacts[i]);
        if (ok && refusals[i].code != ERR_NONE)
            *err = refusals[i];
        ok = ok && refusals[i].code == ERR_NONE;
    }
    atomic_fetch_add(&member->crew->done, (long)done_count);
    return ok;
}

/* Claims up to `capacity` jobs at once and finishes them together; where `fused` the same call claims the next ones. */
static bool member_drain(struct member *member, struct queue *queue, size_t capacity, bool fused, struct error *err) {
    struct claim_options options = claim_options(member->name);
    struct claim claims[BATCH], held[BATCH];
    size_t held_count = 0, count;
    while (member_has_time(member)) {
        if (held_count == 0 && !queue_claim(queue, &options, held, capacity, &held_count, err))
            return false;
        if (held_count == 0)
            return true;
        if (!finish_claims(member, queue, held, held_count, claims, fused ? capacity : 0, &count, err))
            return false;
        held_count = count;
        memcpy(held, claims, count * sizeof *held);
    }
    return true;
}

/* ---- the limit: a bare script with the same writes, and no checks ---- */

/* Makes the same jobs as fill(), in the same form. ARGV: campaign, number of jobs. */
static const char bare_fill[] =
    "local P, campaign = '{bare}:', ARGV[1] "
    "for i = 0, ARGV[2] - 1 do local suffix = string.format('hi/dub/%04d', i) "
    "redis.call('HSET', P .. 'job:' .. campaign .. '/' .. suffix, 'state', 'ready', 'seq', i, 'lane', 'lipsync:batch', "
    "'created', 1700000000000, 'next', 'hi/join') "
    "redis.call('ZADD', P .. 'ready:lipsync:batch:' .. campaign, i, suffix) end "
    "redis.call('HSET', P .. 'job:' .. campaign .. '/hi/join', 'state', 'waiting', 'waits', ARGV[2])";

/* Writes what finish.lua writes when one dub is finished and the next is claimed, call by call. Every key and value
 * comes ready from the client. */
static const char bare_step[] =
    "local call, A = redis.call, ARGV "
    "call('HSET', A[1], A[2], A[3], A[4], A[5]) " /* results */
    "call('ZREM', A[6], A[7]) "                   /* leases */
    "call('HSET', A[8], 'state', 'done', 'finished', A[9]) "
    "call('XADD', A[10], '*', 'job', A[11]) "
    "call('APPEND', A[12], A[13]) " /* totals */
    "call('HINCRBY', A[14], 'waits', -1) "
    "call('ZREM', A[15], A[16]) "        /* ready */
    "call('ZADD', A[17], A[18], A[19]) " /* fair */
    "call('ZADD', A[6], A[20], A[21]) "
    "call('HSET', A[22], 'state', 'leased', 'attempt', A[23], 'worker', A[24], 'claimed', A[9]) "
    "call('XADD', A[25], '*', 'job', A[26]) "
    "call('HINCRBY', A[27], 'n:done', 1) "
    "call('HINCRBY', A[28], 'lipsync:batch:ready', -1) "
    "return {A[21], A[23], 'batch'}";

static const char bare_totals[] = "jobs_done:dub 1 frames 240 bytes 1843200 step_ms:fetch 41 step_ms:decode 812 "
                                  "step_ms:mel 3 step_ms:lips 2213 step_ms:blend 640 step_ms:encode 1534 "
                                  "step_ms:upload 77 ";

enum { BARE_ARGUMENTS = 28 };

static redisReply *bare_call(redisContext *context, int count, const char **words) {
    redisReply *reply = redisCommandArgv(context, count, words, NULL);
    if (reply && reply->type == REDIS_REPLY_ERROR) {
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static bool bare_failed(const redisContext *context, struct error *err) {
    return error_set(err, ERR_QUEUE_UNAVAILABLE, "the bare script failed: %s", context ? context->errstr : "no memory");
}

/* Makes the jobs of the bare script and loads it. Returns its SHA-1 for EVALSHA, which the caller frees. */
static char *bare_prepare(struct bench *bench, int jobs, struct error *err) {
    redisContext *context = redisConnectUnix(local_redis_url(bench->redis) + strlen("unix://"));
    bool ok = context && !context->err;
    for (int i = 0; ok && i < jobs / CAMPAIGN_JOBS; i++) {
        char campaign[64];
        snprintf(campaign, sizeof campaign, "a-short-film-%09d", i);
        redisReply *reply = redisCommand(context, "EVAL %s 0 %s %d", bare_fill, campaign, CAMPAIGN_JOBS);
        ok = reply && reply->type != REDIS_REPLY_ERROR;
        if (reply)
            freeReplyObject(reply);
    }
    redisReply *reply = ok ? bare_call(context, 3, (const char *[]){"SCRIPT", "LOAD", bare_step}) : NULL;
    char *sha1 = reply ? xstrdup(reply->str) : NULL;
    if (!reply)
        bare_failed(context, err);
    else
        freeReplyObject(reply);
    if (context)
        redisFree(context);
    return sha1;
}

#define BARE_CAMPAIGN "{bare}:campaign:a-short-film-%09d"

/* Finishes job `last` and claims job `next`. */
static bool bare_run(struct member *member, redisContext *context, const char *report, int last, int next) {
    char text[BARE_ARGUMENTS][200];
    const char *words[3 + BARE_ARGUMENTS] = {"EVALSHA", member->crew->bare_sha1, "0"};
    int of = member->crew->campaigns; /* from one campaign after another, as the fair queue does it */
    int c = last % of, j = last / of, nc = next % of, nj = next / of;
    long long now = clock_wall_ms(clock_system());
    for (int i = 0; i < BARE_ARGUMENTS; i++)
        words[3 + i] = text[i];
#define SET(i, ...) snprintf(text[(i) - 1], sizeof *text, __VA_ARGS__)
    SET(1, BARE_CAMPAIGN ":results", c);
    SET(2, "hi/dub/%04d", j);
    words[3 + 2] = report;
    SET(4, "hi/dub/%04d:artifact", j);
    SET(5, "campaigns/a-short-film-%09d/hi/%04d.1-0123456789.mp4", c, j);
    SET(6, "{bare}:leases");
    SET(7, "a-short-film-%09d/hi/dub/%04d", c, j);
    SET(8, "{bare}:job:a-short-film-%09d/hi/dub/%04d", c, j);
    SET(9, "%lld", now);
    SET(10, BARE_CAMPAIGN ":events", c);
    SET(11, "{\"id\":\"%s\",\"state\":\"done\",\"attempt\":1,\"worker\":\"%s\"}", text[6], member->name);
    SET(12, "{bare}:totals:new:%d", last % 1000);
    words[3 + 12] = bare_totals;
    SET(14, "{bare}:job:a-short-film-%09d/hi/join", c);
    SET(15, "{bare}:ready:lipsync:batch:a-short-film-%09d", nc);
    SET(16, "hi/dub/%04d", nj);
    SET(17, "{bare}:fair:lipsync:batch");
    SET(18, "%d", next);
    SET(19, "a-short-film-%09d", nc);
    SET(20, "%lld", now + LEASE_MS);
    SET(21, "a-short-film-%09d/hi/dub/%04d", nc, nj);
    SET(22, "{bare}:job:a-short-film-%09d/hi/dub/%04d", nc, nj);
    SET(23, "1-0123456789");
    SET(24, "%s", member->name);
    SET(25, BARE_CAMPAIGN ":events", nc);
    SET(26, "{\"id\":\"%s\",\"state\":\"leased\",\"attempt\":1,\"worker\":\"%s\"}", text[20], member->name);
    SET(27, BARE_CAMPAIGN, c);
    SET(28, "{bare}:counts");
#undef SET
    redisReply *reply = bare_call(context, 3 + BARE_ARGUMENTS, words);
    if (reply)
        freeReplyObject(reply);
    return reply != NULL;
}

static bool member_drain_bare(struct member *member, struct error *err) {
    struct bench *bench = member->crew->bench;
    redisContext *context = redisConnectUnix(local_redis_url(bench->redis) + strlen("unix://"));
    bool ok = context && !context->err;
    for (int last = atomic_fetch_add(&member->crew->next_bare, 1); ok && member_has_time(member);) {
        int next = atomic_fetch_add(&member->crew->next_bare, 1);
        _cleanup_free_ char *report = json_line(bench->report);
        ok = bare_run(member, context, report, last, next);
        last = next;
        atomic_fetch_add(&member->crew->done, 1);
    }
    if (!ok)
        bare_failed(context, err);
    if (context)
        redisFree(context);
    return ok;
}

/* ---- a crew's run ---- */

static bool member_work(struct member *member, struct queue *queue, struct error *err) {
    switch (member->crew->mode) {
    case MODE_SUBMIT:
        return member_submit(member, queue, err);
    case MODE_SEPARATE:
        return member_drain(member, queue, 1, false, err);
    case MODE_FUSED:
        return member_drain(member, queue, 1, true, err);
    case MODE_BATCH:
        return member_drain(member, queue, BATCH, true, err);
    default:
        return member_drain_bare(member, err);
    }
}

static void *member_thread(void *context) {
    struct member *member = context;
    _cleanup_queue_ struct queue *queue = open_queue(member->crew->bench, &member->err);
    sem_post(&member->crew->connected);
    while (sem_wait(&member->crew->begin) != 0) { /* interrupted by a signal */
    }
    member->ok = queue && member_work(member, queue, &member->err);
    return NULL;
}

struct rate {
    double a_second;
    double cpu_us; /* the server's processor time for one */
};

/* Starts the members and waits until each is connected. Returns how many run: fewer than `count` with *err set. */
static int crew_start(struct crew *crew, struct member *members, int count, struct error *err) {
    int started = 0;
    for (; started < count; started++) {
        struct member *member = &members[started];
        *member = (struct member){.crew = crew};
        snprintf(member->name, sizeof member->name, "w%d", started);
        if (!thread_start(&member->thread, "bench-member", member_thread, member, err))
            break;
    }
    for (int i = 0; i < started; i++)
        while (sem_wait(&crew->connected) != 0) { /* interrupted by a signal */
        }
    return started;
}

/* False with the error of a member that failed. */
static bool crew_join(struct member *members, int count, struct error *err) {
    bool ok = true;
    for (int i = 0; i < count; i++) {
        pthread_join(members[i].thread, NULL);
        if (!members[i].ok)
            *err = members[i].err;
        ok &= members[i].ok;
    }
    return ok;
}

/* Lets `count` workers do this for the bench's time. When one cannot be started, the others get no time at all. */
static bool crew_run(struct bench *bench, enum mode mode, int count, const char *bare_sha1, struct rate *rate,
                     struct error *err) {
    struct crew crew = {.bench = bench,
                        .mode = mode,
                        .bare_sha1 = bare_sha1,
                        .campaigns = MAX((int)(JOBS_A_SECOND * bench->seconds) / CAMPAIGN_JOBS, 1)};
    _cleanup_free_ struct member *members = xnew_array(struct member, (size_t)count);
    sem_init(&crew.connected, 0, 0);
    sem_init(&crew.begin, 0, 0);
    int started = crew_start(&crew, members, count, err);
    double start = now_s(), cpu = server_cpu(bench);
    crew.until = started == count ? start + bench->seconds : 0;
    for (int i = 0; i < started; i++)
        sem_post(&crew.begin);
    struct error failure;
    bool ok = crew_join(members, started, &failure);
    long done = atomic_load(&crew.done);
    *rate = (struct rate){(double)done / (now_s() - start), (server_cpu(bench) - cpu) * 1e6 / (double)MAX(done, 1L)};
    sem_destroy(&crew.connected);
    sem_destroy(&crew.begin);
    if (started == count && !ok)
        *err = failure;
    return started == count && ok;
}

static const char *const mode_names[MODE_COUNT] = {"single_add", "claim_then_finish", "finish_and_claim",
                                                   "finish_and_claim_8", "bare_script"};

/* Measures one mode with one number of workers, on a queue that is filled anew. */
static bool bench_crew(struct bench *bench, enum mode mode, int workers, struct rate *rate, struct error *err) {
    double ignored;
    int jobs = (int)(JOBS_A_SECOND * bench->seconds);
    _cleanup_free_ char *sha1 = NULL;
    if (!empty_redis(bench, err))
        return false;
    if (mode == MODE_BARE && !(sha1 = bare_prepare(bench, jobs, err)))
        return false;
    if (mode != MODE_BARE && mode != MODE_SUBMIT && !fill(bench, jobs, &ignored, err))
        return false;
    return settle(bench, err) && crew_run(bench, mode, workers, sha1, rate, err);
}

/* {"finish_and_claim_8":{"1":{"a_second","cpu_us"},...},...}. For each number of workers the modes follow each other
 * closely, so that their ratios mean something on a machine that others use too. */
static bool bench_crews(struct bench *bench, json_t *out, struct error *err) {
    json_t *rates = json_object();
    json_object_set_new(out, "rates", rates);
    for (int mode = 0; mode < MODE_COUNT; mode++)
        json_object_set_new(rates, mode_names[mode], json_object());
    for (size_t i = 0; i < ARRAY_LENGTH(worker_counts); i++)
        for (int mode = 0; mode < MODE_COUNT; mode++) {
            struct rate rate;
            char workers[12];
            snprintf(workers, sizeof workers, "%d", worker_counts[i]);
            if (!bench_crew(bench, (enum mode)mode, worker_counts[i], &rate, err))
                return false;
            json_object_set_new(json_object_get(rates, mode_names[mode]), workers,
                                json_pack("{s:f,s:f}", "a_second", rate.a_second, "cpu_us", rate.cpu_us));
        }
    return true;
}

/* ---- latency ---- */

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* {"p50","p99"} in microseconds. Sorts. */
static json_t *percentiles(double *seconds, size_t count) {
    qsort(seconds, count, sizeof *seconds, compare_seconds);
    return json_pack("{s:f,s:f}", "p50", seconds[count / 2] * 1e6, "p99", seconds[count * 99 / 100] * 1e6);
}

/* An idle worker, and the bench that gives it one job at a time. Each atomic is one plain value that the other thread
 * polls; the default order makes `seconds` visible with `started`. */
struct idler {
    struct bench *bench;
    _Atomic double submitted; /* when the latest job was; written before it is submitted */
    atomic_int started;       /* jobs that were begun and finished; by the idler */
    atomic_bool ended;        /* the idler has returned; by the idler */
    atomic_bool stop;         /* no job comes any more; by the bench */
    double seconds[LATENCY_SAMPLES];
    bool ok;
    struct error err;
};

/* Waits for a job at most a second, so that `stop` is seen. */
static bool idler_claim(struct idler *idler, struct queue *queue, const struct claim_options *options,
                        struct claim *claim, size_t *count) {
    bool ready;
    if (!queue_claim(queue, options, claim, 1, count, &idler->err))
        return false;
    return *count > 0 || queue_wait(queue, options, 1000, &ready, &idler->err);
}

/* Waits, claims, notes the time, finishes. */
static bool idler_run(struct idler *idler, struct queue *queue) {
    struct claim_options options = claim_options("idler");
    struct job_result result = {.artifact = "", .report = idler->bench->report};
    for (int i = 0; i < LATENCY_SAMPLES && !idler->stop;) {
        struct claim claim;
        size_t count = 0;
        if (!idler_claim(idler, queue, &options, &claim, &count))
            return false;
        if (count == 0)
            continue;
        idler->seconds[i++] = now_s() - idler->submitted;
        if (!queue_finish(queue, options.worker, &claim, &result, &idler->err))
            return false;
        atomic_store(&idler->started, i);
    }
    return true;
}

static void *idler_thread(void *context) {
    struct idler *idler = context;
    _cleanup_queue_ struct queue *queue = open_queue(idler->bench, &idler->err);
    idler->ok = queue && idler_run(idler, queue);
    atomic_store(&idler->ended, true);
    return NULL;
}

/* One job after the other, each when the one before has been finished. */
static bool idler_feed(struct idler *idler, struct error *err) {
    for (int i = 0; i < LATENCY_SAMPLES && !idler->ended; i++) {
        clock_sleep_ms(clock_system(), 2); /* it waits again by then */
        _cleanup_free_ char *id = xasprintf("latency-%d", i);
        idler->submitted = now_s();
        if (!submit_one(idler->bench->queue, id, err))
            return false;
        while (atomic_load(&idler->started) <= i && !idler->ended)
            clock_sleep_ms(clock_system(), 1);
    }
    return true;
}

static bool bench_latency(struct bench *bench, json_t *out, struct error *err) {
    _cleanup_free_ struct idler *idler = xnew(struct idler);
    idler->bench = bench;
    pthread_t thread;
    if (!empty_redis(bench, err))
        return false;
    if (!thread_start(&thread, "bench-idler", idler_thread, idler, err))
        return false;
    bool fed = idler_feed(idler, err);
    atomic_store(&idler->stop, true);
    pthread_join(thread, NULL);
    if (!fed)
        return false;
    if (!idler->ok) {
        *err = idler->err;
        return false;
    }
    json_object_set_new(out, "submit_to_start_us", percentiles(idler->seconds, LATENCY_SAMPLES));
    return true;
}

/* ---- size ---- */

/* Claims and finishes some jobs among many, one at a time. */
static json_t *sample_costs(struct bench *bench, struct error *err) {
    _cleanup_free_ double *claims = xnew_array(double, COST_SAMPLES), *finishes = xnew_array(double, COST_SAMPLES);
    struct claim_options options = claim_options("sampler");
    struct job_result result = {.artifact = "an/artifact", .report = bench->report};
    for (size_t i = 0; i < COST_SAMPLES; i++) {
        struct claim claim;
        size_t count;
        double start = now_s();
        if (!queue_claim(bench->queue, &options, &claim, 1, &count, err))
            return NULL;
        double claimed = now_s();
        if (count == 0)
            return json_pack("{s:o,s:o}", "claim_us", percentiles(claims, i), "finish_us", percentiles(finishes, i));
        if (!queue_finish(bench->queue, options.worker, &claim, &result, err))
            return NULL;
        claims[i] = claimed - start;
        finishes[i] = now_s() - claimed;
    }
    return json_pack("{s:o,s:o}", "claim_us", percentiles(claims, COST_SAMPLES), "finish_us",
                     percentiles(finishes, COST_SAMPLES));
}

static bool bench_sizes(struct bench *bench, int64_t most, json_t *out, struct error *err) {
    static const int64_t sizes[] = {1000, 100000, 1000000, 10000000};
    json_t *list = json_array();
    json_object_set_new(out, "sizes", list);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes) && sizes[i] <= most; i++) {
        double seconds;
        if (!empty_redis(bench, err))
            return false;
        double before = info_number(bench, "memory", "used_memory:", err), start = server_cpu(bench);
        if (before < 0 || !fill(bench, sizes[i], &seconds, err))
            return false;
        double adding = server_cpu(bench) - start;
        if (!settle(bench, err))
            return false;
        double after = info_number(bench, "memory", "used_memory:", err);
        start = server_cpu(bench);
        json_t *costs = sample_costs(bench, err);
        if (!costs)
            return false;
        double samples = (double)MIN(sizes[i], (int64_t)COST_SAMPLES);
        json_object_set_new(costs, "claim_and_finish_cpu_us", json_real((server_cpu(bench) - start) * 1e6 / samples));
        json_object_set_new(costs, "add_cpu_us", json_real(adding * 1e6 / (double)sizes[i]));
        json_object_set_new(costs, "ready", json_integer(sizes[i]));
        json_object_set_new(costs, "bulk_add", json_integer((json_int_t)((double)sizes[i] / seconds)));
        json_object_set_new(costs, "bytes_per_job", json_integer((json_int_t)((after - before) / (double)sizes[i])));
        json_array_append_new(list, costs);
    }
    return true;
}

static bool bench_all(struct bench *bench, int64_t most, json_t *result, struct error *err) {
    return bench_latency(bench, result, err) && bench_crews(bench, result, err) &&
           bench_sizes(bench, most, result, err);
}

bool queue_bench(struct local_redis *redis, double seconds, int64_t most, json_t *out, struct error *err) {
    struct bench bench = {.redis = redis, .seconds = seconds};
    if (!(bench.queue = open_queue(&bench, err)))
        return false;
    bench.report = make_report();
    bool ok = bench_all(&bench, most, out, err);
    json_decref(bench.report);
    queue_close(bench.queue);
    return ok;
}
