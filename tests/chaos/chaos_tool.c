/* What script/chaos runs: the store of campaigns, the workers, and the auditor at the end.
 *
 *   chaos_tool submit REDIS STORE FIRST COUNT SEGMENTS LANGUAGES    campaigns chaos-FIRST ... ; every seventh is urgent
 *   chaos_tool work REDIS STORE NAME LEASE_MS JOB_MS                claims and does jobs until it is killed
 *   chaos_tool retry REDIS                                          revives every dead job; prints how many
 *   chaos_tool audit REDIS STORE COUNT                              prints a JSON object; "problems" should be empty
 */
#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/random.h"
#include "queue/check.h"
#include "small_job.h"
#include "store/http.h"

static int fail(const struct error *err) {
    fprintf(stderr, "%s: %s\n", error_name(err->code), err->message);
    return 1;
}

static struct queue *open_queue(const char *url, struct error *err) {
    struct queue_options options = {.url = url, .timeout_ms = 2000};
    return queue_open(&options, err);
}

/* Jobs of milliseconds are retried after milliseconds. */
static bool set_failure(struct queue *queue, struct error *err) {
    struct failure_policies policies = failure_defaults;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        policies.limits[kind][FAILURE_FIRST_RETRY] = 50;
    return queue_set_failure(queue, &policies, err);
}

/* Redis is restarted under everybody's hands: then again, until it answers. */
#define INSIST(call)                                                                                                   \
    ({                                                                                                                 \
        bool done_;                                                                                                    \
        while (!(done_ = (call)) && err.code == ERR_QUEUE_UNAVAILABLE)                                                 \
            clock_sleep_ms(clock_system(), 20);                                                                        \
        done_;                                                                                                         \
    })

static int submit(char **arguments) {
    struct error err;
    _cleanup_queue_ struct queue *queue = NULL;
    _cleanup_store_ struct store *store = store_open(arguments[1], NULL, &err);
    if (!store || !INSIST((queue = open_queue(arguments[0], &err)) != NULL) || !INSIST(set_failure(queue, &err)))
        return fail(&err);
    long first = strtol(arguments[2], NULL, 10), count = strtol(arguments[3], NULL, 10);
    for (long i = first; i < first + count; i++) {
        _cleanup_free_ char *id = xasprintf("chaos-%ld", i);
        _cleanup_campaign_ struct campaign *campaign =
            small_campaign(id, i % 7 ? "batch" : "urgent", arguments[5], (int)strtol(arguments[4], NULL, 10));
        if (!INSIST(small_submit(queue, store, campaign, &err)))
            return fail(&err);
    }
    return 0;
}

/* ---- a worker ---- */

struct hand {
    struct queue *queue;
    struct store *store;
    const char *name;
    int lease_ms, job_ms;
};

static void pause_in_job(const struct hand *hand) {
    clock_sleep_ms(clock_system(), (int64_t)(random_unit() * 2 * hand->job_ms));
}

/* False when nothing was done about the job: it comes back when its lease has run out. */
static bool do_job(struct hand *hand, const struct claim *claim, struct error *result) {
    struct error err = {0};
    _cleanup_plan_ struct plan *plan = small_plan(hand->store, claim, &err);
    _cleanup_free_ char *artifact = NULL;
    pause_in_job(hand);
    bool done = plan && INSIST(queue_heartbeat(hand->queue, hand->name, claim, hand->lease_ms, NULL, &err)) &&
                INSIST(small_work(hand->queue, hand->store, plan, claim, &artifact, &err));
    pause_in_job(hand);
    done = done && INSIST(small_finish(hand->queue, hand->store, plan, hand->name, claim, artifact, &err));
    *result = err;
    return done;
}

static int work(char **arguments) {
    static const enum pool pools[] = {POOL_LIPSYNC, POOL_CPU};
    struct error err;
    struct hand hand = {.name = arguments[2],
                        .lease_ms = (int)strtol(arguments[3], NULL, 10),
                        .job_ms = (int)strtol(arguments[4], NULL, 10)};
    struct claim_options options = {
        .worker = hand.name, .pools = pools, .pool_count = ARRAY_LENGTH(pools), .lease_ms = hand.lease_ms};
    hand.store = store_open(arguments[1], NULL, &err);
    if (!hand.store || !INSIST((hand.queue = open_queue(arguments[0], &err)) != NULL))
        return fail(&err);
    for (;;) {
        struct claim claim;
        size_t count = 0;
        bool ready, asked = queue_claim(hand.queue, &options, &claim, 1, &count, &err) &&
                            (count || queue_wait(hand.queue, &options, 500, &ready, &err));
        if (!asked && err.code != ERR_QUEUE_UNAVAILABLE)
            return fail(&err);
        if (!asked)
            clock_sleep_ms(clock_system(), 20);
        if (!count || do_job(&hand, &claim, &err) || err.code == ERR_QUEUE_STALE || err.code == ERR_CANCELLED)
            continue;
        fprintf(stderr, "%s: %s: %s\n", claim.job_id, error_name(err.code), err.message);
        struct error failure = err;
        (void)!queue_fail(hand.queue, hand.name, &claim, &failure, &err); /* refused when the lease is lost */
    }
}

static int retry(char **arguments) {
    struct error err;
    _cleanup_queue_ struct queue *queue = NULL;
    _cleanup_json_ json_t *dead = NULL;
    if (!INSIST((queue = open_queue(arguments[0], &err)) != NULL) || !INSIST(set_failure(queue, &err)) ||
        !INSIST((dead = queue_dead(queue, NULL, 1000, &err)) != NULL))
        return fail(&err);
    size_t i, revived = 0;
    json_t *job;
    json_array_foreach (json_object_get(dead, "items"), i, job)
        revived += queue_retry(queue, json_get_string(job, "id", ""), &err);
    printf("%zu\n", revived);
    return 0;
}

/* ---- the auditor ---- */

struct audit {
    struct queue *queue;
    struct store *store;
    json_t *problems, *published; /* artifacts of the campaign */
    int64_t jobs, unfinished, unpublished;
};

static void problem(struct audit *audit, const char *what, const char *where) {
    json_array_append_new(audit->problems, json_sprintf("%s: %s", where, what));
}

/* The published object was written by the claim that its key names, and a join used what its dubs published. */
static void audit_artifact(struct audit *audit, const struct job_id *job, const char *id, const char *key) {
    _cleanup_buffer_ struct buffer text = {0}, wanted = {0};
    struct error err;
    if (!small_get(audit->store, key, &text, &err)) {
        problem(audit, "its artifact is not there", id);
        return;
    }
    if (job->kind == KIND_PLAN)
        return;
    const char *stamp = text.data + strlen(id) + 1;
    _cleanup_free_ char *own =
        strncmp(text.data, id, strlen(id)) == 0 ? xstrndup(stamp, strcspn(stamp, "\n")) : xstrdup("");
    _cleanup_free_ char *named = layout_artifact(job, own);
    if (strcmp(named, key) != 0)
        problem(audit, "its artifact was written by another claim", id);
    if (job->kind != KIND_JOIN)
        return;
    struct claim claim = {.job = *job};
    snprintf(claim.job_id, sizeof claim.job_id, "%s", id);
    _cleanup_plan_ struct plan *plan = small_plan(audit->store, &claim, &err);
    buffer_appendf(&wanted, "%s %s\n", id, own);
    if (!plan || !small_join(audit->queue, audit->store, plan, &claim, &wanted, &err) ||
        strcmp(wanted.data, text.data) != 0)
        problem(audit, "it was joined from other dubs than the published ones", id);
}

static void audit_job(struct audit *audit, const json_t *job) {
    const char *id = json_get_string(job, "id", ""), *state = json_get_string(job, "state", "");
    const char *artifact = json_get_string(job, "artifact", "");
    struct job_id parsed;
    struct error err;
    audit->jobs++;
    if (strcmp(state, "done") != 0) {
        audit->unfinished++;
        problem(audit, state, id);
        return;
    }
    if (!job_id_parse(id, &parsed)) {
        problem(audit, "it has no job's id", id);
        return;
    }
    audit_artifact(audit, &parsed, id, artifact);
    _cleanup_receipt_ struct receipt receipt = {0};
    bool found;
    if (!receipt_read(audit->store, &parsed, &receipt, &found, &err) || !found)
        problem(audit, "it has no receipt", id);
    else if (strcmp(receipt.artifact, artifact) != 0)
        problem(audit, "its receipt names another artifact than Redis", id);
}

/* What zombies and failed attempts uploaded lies in the store for good, but nothing leads there: no record, no receipt
 * (audit_job), no join (audit_artifact). */
static bool audit_object(const char *key, const struct store_stat *stat, void *context) {
    struct audit *audit = context;
    const char *dot = strrchr(key, '.');
    if (!dot || strcmp(dot, ".json") != 0)
        audit->unpublished += !json_object_get(audit->published, key);
    return true;
}

static bool audit_objects(struct audit *audit, const char *id, const json_t *jobs, struct error *err) {
    _cleanup_json_ json_t *published = json_object();
    _cleanup_free_ char *prefix = xasprintf("campaigns/%s/", id);
    const json_t *job;
    size_t i;
    json_array_foreach (jobs, i, job)
        json_object_set_new(published, json_get_string(job, "artifact", ""), json_true());
    audit->published = published;
    return store_list(audit->store, prefix, audit_object, audit, err);
}

static bool audit_campaign(struct audit *audit, const char *id, struct error *err) {
    _cleanup_json_ json_t *campaign = queue_campaign(audit->queue, id, err);
    if (!campaign)
        return false;
    if (strcmp(json_get_string(campaign, "state", ""), "done") != 0)
        problem(audit, json_get_string(campaign, "state", ""), id);
    _cleanup_json_ json_t *page = queue_jobs(audit->queue, id, NULL, 100000, err);
    _cleanup_free_ char *key = layout_plan(id);
    _cleanup_json_ json_t *json = small_get_json(audit->store, key, err);
    _cleanup_plan_ struct plan *plan = json ? plan_from_json(json, err) : NULL;
    if (!page || !plan)
        return page != NULL;
    const json_t *jobs = json_object_get(page, "items"), *job;
    size_t i, expected = 1 + plan->segment_count + plan->language_count * (plan->segment_count + 1);
    if (json_array_size(jobs) != expected)
        problem(audit, "it has another number of jobs than its plan", id);
    json_array_foreach (jobs, i, job)
        audit_job(audit, job);
    return audit_objects(audit, id, jobs, err);
}

static int64_t jobs_done(struct queue *queue) {
    struct error err;
    _cleanup_json_ json_t *totals = queue_totals(queue, &err);
    const char *kind;
    json_t *number;
    int64_t sum = 0;
    json_object_foreach (json_object_get(totals, "jobs_done"), kind, number)
        sum += json_integer_value(number);
    return sum;
}

static int audit(char **arguments) {
    struct error err;
    _cleanup_json_ json_t *problems = json_array();
    struct audit audit = {.store = store_open(arguments[1], NULL, &err), .problems = problems};
    if (!audit.store || !INSIST((audit.queue = open_queue(arguments[0], &err)) != NULL))
        return fail(&err);
    for (long i = 0; i < strtol(arguments[2], NULL, 10); i++) {
        _cleanup_free_ char *id = xasprintf("chaos-%ld", i);
        if (!audit_campaign(&audit, id, &err))
            problem(&audit, err.message, id);
    }
    _cleanup_json_ json_t *check = queue_check(audit.queue, false, &err);
    if (!check)
        return fail(&err);
    _cleanup_json_ json_t *result =
        json_pack("{s:I, s:I, s:I, s:I, s:O, s:O}", "jobs", (json_int_t)audit.jobs, "unfinished",
                  (json_int_t)audit.unfinished, "finished_by_totals", (json_int_t)jobs_done(audit.queue), "unpublished",
                  (json_int_t)audit.unpublished, "problems", problems, "findings", json_object_get(check, "findings"));
    _cleanup_free_ char *text = json_line(result);
    puts(text);
    queue_close(audit.queue);
    store_close(audit.store);
    return 0;
}

int main(int count, char **arguments) {
    process_begin();
    http_process_begin();
    const char *command = count > 1 ? arguments[1] : "";
    if (strcmp(command, "submit") == 0 && count == 8)
        return submit(arguments + 2);
    if (strcmp(command, "work") == 0 && count == 7)
        return work(arguments + 2);
    if (strcmp(command, "retry") == 0 && count == 3)
        return retry(arguments + 2);
    if (strcmp(command, "audit") == 0 && count == 5)
        return audit(arguments + 2);
    fprintf(stderr, "see the head of chaos_tool.c\n");
    return 2;
}
