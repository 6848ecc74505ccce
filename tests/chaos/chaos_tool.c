/* What script/chaos runs besides mela-worker and chaos_executor: who submits, and the auditor at the end.
 *
 *   chaos_tool submit REDIS STORE FIRST COUNT SEGMENTS LANGUAGES    campaigns chaos-FIRST ... ; every seventh is urgent
 *   chaos_tool shows REDIS STORE COUNT JOBS                         campaigns of pictures show-0 ..., every second one
 * with a sheet; JOBS for each of three LoRAs chaos_tool bombs REDIS STORE FIRST COUNT SEGMENTS LANGUAGES     campaigns
 * bomb-FIRST ..., one of `misdeeds` each chaos_tool retry REDIS                                          revives dead
 * jobs, but of bombs; prints how many chaos_tool workers REDIS                                        prints who lives,
 * as JSON chaos_tool audit REDIS STORE COUNT BOMBS SHOWS                  prints a JSON object; "problems" should be
 * empty
 */
#include <stdio.h>
#include <string.h>

#include "base/process.h"
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

enum { FIRST_RETRY_MS = 50, LONGEST_RUN_MS = 2500 };

/* Jobs of milliseconds are retried after milliseconds, and hang when they take seconds. */
static bool set_failure(struct queue *queue, struct error *err) {
    struct failure_policies policies = failure_defaults;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        policies.limits[kind][FAILURE_FIRST_RETRY] = FIRST_RETRY_MS;
        policies.limits[kind][FAILURE_LONGEST_RUN] = LONGEST_RUN_MS;
    }
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

/* What every job of a kind does in a bomb (chaos_executor.c). */
static const char *const misdeeds[] = {"abort", "hang", "leak", "refuse"};

static const char *misdeed_of(long bomb) { return misdeeds[bomb % (long)ARRAY_LENGTH(misdeeds)]; }

/* Each goes off in another kind of job, but for joins. */
static enum job_kind kind_of(long bomb) {
    static const enum job_kind kinds[] = {KIND_PLAN, KIND_TRACK, KIND_DUB, KIND_IMAGE, KIND_SHEET};
    return kinds[bomb / (long)ARRAY_LENGTH(misdeeds) % (long)ARRAY_LENGTH(kinds)];
}

static struct campaign *make_bomb(const char *id, const char *class, long number, const char *languages, int segments) {
    enum job_kind kind = kind_of(number);
    struct campaign *campaign = job_kind_workload(kind) == WORKLOAD_DUBS
                                    ? small_campaign(id, class, languages, segments)
                                    : small_images(id, class, "a", 2, true);
    _cleanup_free_ char *name = campaign->name;
    campaign->name = xasprintf("%s %s %s", name, misdeed_of(number), job_kind_name(kind));
    return campaign;
}

static int submit(char **arguments, bool as_bombs) {
    struct error err;
    _cleanup_queue_ struct queue *queue = NULL;
    _cleanup_store_ struct store *store = store_open(arguments[1], NULL, &err);
    if (!store || !small_put_file(store, &err) || !INSIST((queue = open_queue(arguments[0], &err)) != NULL) ||
        !INSIST(set_failure(queue, &err)))
        return fail(&err);
    long first = strtol(arguments[2], NULL, 10), count = strtol(arguments[3], NULL, 10);
    for (long i = first; i < first + count; i++) {
        _cleanup_free_ char *id = xasprintf("%s-%ld", as_bombs ? "bomb" : "chaos", i);
        const char *class = i % 7 ? "batch" : "urgent";
        int segments = (int)strtol(arguments[4], NULL, 10);
        _cleanup_campaign_ struct campaign *campaign = as_bombs ? make_bomb(id, class, i, arguments[5], segments)
                                                                : small_campaign(id, class, arguments[5], segments);
        if (!INSIST(small_submit(queue, store, campaign, &err)))
            return fail(&err);
    }
    return 0;
}

static int submit_shows(char **arguments) {
    struct error err;
    _cleanup_queue_ struct queue *queue = NULL;
    _cleanup_store_ struct store *store = store_open(arguments[1], NULL, &err);
    if (!store || !INSIST((queue = open_queue(arguments[0], &err)) != NULL))
        return fail(&err);
    for (long i = 0; i < strtol(arguments[2], NULL, 10); i++) {
        _cleanup_free_ char *id = xasprintf("show-%ld", i);
        _cleanup_campaign_ struct campaign *campaign =
            small_images(id, "batch", "a b c", (int)strtol(arguments[3], NULL, 10), i % 2 == 0);
        if (!INSIST(small_submit(queue, store, campaign, &err)))
            return fail(&err);
    }
    return 0;
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
        if (strncmp(json_get_string(job, "id", ""), "bomb-", 5) != 0)
            revived += queue_retry(queue, json_get_string(job, "id", ""), &err);
    printf("%zu\n", revived);
    return 0;
}

static int workers(char **arguments) {
    struct error err;
    _cleanup_queue_ struct queue *queue = NULL;
    _cleanup_json_ json_t *all = NULL;
    if (!INSIST((queue = open_queue(arguments[0], &err)) != NULL) ||
        !INSIST((all = queue_workers(queue, &err)) != NULL))
        return fail(&err);
    _cleanup_free_ char *text = json_line(all);
    puts(text);
    return 0;
}

/* ---- the auditor ---- */

struct audit {
    struct queue *queue;
    struct store *store;
    json_t *problems, *bomb_ends;    /* by misdeed and code: how many jobs of bombs it killed */
    json_t *published, *first_lines; /* of one campaign: keys of artifacts; by job, what an artifact begins with */
    int64_t jobs, unfinished, unpublished, errors, refusals, crashes, missing, done_in_bombs, longest_bomb_ms;
};

static void problem(struct audit *audit, const char *what, const char *where) {
    json_array_append_new(audit->problems, json_sprintf("%s: %s", where, what));
}

/* What is published is what its receipt describes, and was written by the claim that its key names. */
static void audit_artifact(struct audit *audit, const struct job_id *job, const char *id, const struct receipt *receipt,
                           struct buffer *text) {
    struct error err;
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    if (!small_get(audit->store, receipt->artifact, text, &err)) {
        problem(audit, "its artifact is not there", id);
        return;
    }
    sha256_of(text->data, text->length, hash);
    hex_encode(hash, sizeof hash, hex);
    const char *said = json_get_string(receipt->report, "sha256", NULL);
    if (job->kind == KIND_PLAN) /* which may be of an earlier attempt */
        return;
    if (!said || strcmp(said, hex) != 0)
        problem(audit, "its artifact is not what its receipt says", id);
    const char *stamp = strchr(strrchr(receipt->artifact, '/'), '.');
    _cleanup_free_ char *own = xasprintf("%s %ld ", id, strtol(stamp + 1, NULL, 10));
    if (strncmp(text->data, own, strlen(own)) != 0)
        problem(audit, "its artifact was written by another claim", id);
    json_object_set_new(audit->first_lines, id, json_stringn(text->data, strcspn(text->data, "\n") + 1));
}

/* It used what the jobs that it waited for have published. */
static void audit_inputs(struct audit *audit, const struct plan *plan, const struct job_id *job, const char *id,
                         const struct buffer *text) {
    _cleanup_free_ char(*inputs)[JOB_ID_MAX + 1] = NULL;
    size_t count = plan_inputs(plan, job, &inputs);
    _cleanup_buffer_ struct buffer wanted = {0};
    buffer_append_text(&wanted, json_get_string(audit->first_lines, id, ""));
    for (size_t i = 0; i < count; i++)
        buffer_append_text(&wanted, json_get_string(audit->first_lines, inputs[i], "missing"));
    if (job->kind != KIND_PLAN && strcmp(wanted.data, text->data) != 0)
        problem(audit, "it was made from other artifacts than the published ones", id);
}

/* A sheet shows published pictures in their order. One that was retried after the sheet had begun is missing there. */
static void audit_sheet(struct audit *audit, const struct job_id *sheet, const char *id, int pictures,
                        const struct buffer *text) {
    struct job_id image = *sheet;
    const char *rest = text->data + strcspn(text->data, "\n") + 1;
    image.kind = KIND_IMAGE;
    for (image.index = 0; image.index < pictures; image.index++) {
        char image_id[JOB_ID_MAX + 1];
        job_id_format(&image, image_id);
        const char *line = json_get_string(audit->first_lines, image_id, "missing");
        if (strncmp(rest, line, strlen(line)) == 0)
            rest += strlen(line);
        else
            audit->missing++;
    }
    if (*rest)
        problem(audit, "it was made from other artifacts than the published ones", id);
}

static void audit_job(struct audit *audit, const struct plan *plan, const json_t *job) {
    const char *id = json_get_string(job, "id", ""), *state = json_get_string(job, "state", "");
    struct job_id parsed;
    struct error err;
    bool found;
    _cleanup_receipt_ struct receipt receipt = {0};
    _cleanup_buffer_ struct buffer text = {0};
    audit->jobs++;
    audit->errors += json_get_integer(job, "errors", 0);
    audit->refusals += json_get_integer(job, "refusals", 0);
    audit->crashes += json_get_integer(job, "crashes", 0);
    if (strcmp(state, "done") != 0) {
        audit->unfinished++;
        problem(audit, state, id);
    } else if (!job_id_parse(id, &parsed))
        problem(audit, "it has no job's id", id);
    else if (!receipt_read(audit->store, &parsed, &receipt, &found, &err) || !found)
        problem(audit, "it has no receipt", id);
    else if (strcmp(receipt.artifact, json_get_string(job, "artifact", "")) != 0)
        problem(audit, "its receipt names another artifact than Redis", id);
    else {
        audit_artifact(audit, &parsed, id, &receipt, &text);
        if (plan)
            audit_inputs(audit, plan, &parsed, id, &text);
        else if (parsed.kind == KIND_SHEET)
            audit_sheet(audit, &parsed, id, (int)json_object_size(audit->first_lines) - 1, &text);
    }
}

/* What zombies and failed attempts uploaded lies in the store for good, but nothing leads there: no record, no receipt
 * (audit_job), no other artifact (audit_inputs). */
static bool audit_object(const char *key, const struct store_stat *stat, void *context) {
    struct audit *audit = context;
    const char *dot = strrchr(key, '.');
    if (!dot || (strcmp(dot, ".json") != 0 && strcmp(dot, ".pcm") != 0 && strcmp(dot, ".png") != 0))
        audit->unpublished += !json_object_get(audit->published, key);
    return true;
}

/* Those of one kind, or all others, in the order of their ids: a job comes after what it was made of. */
static void audit_jobs(struct audit *audit, const struct plan *plan, const json_t *jobs, const char *kind, bool of_it) {
    const json_t *job;
    size_t i;
    json_array_foreach (jobs, i, job)
        if ((strcmp(json_get_string(job, "kind", ""), kind) == 0) == of_it) {
            json_object_set_new(audit->published, json_get_string(job, "artifact", ""), json_true());
            audit_job(audit, plan, job);
        }
}

/* The plan of a campaign of dubs, and how many jobs a campaign must have. False, and *err not set, when there is none.
 */
static bool expect_jobs(struct audit *audit, const char *id, struct plan **plan, size_t *expected, struct error *err) {
    _cleanup_free_ char *plan_key = layout_plan(id), *spec_key = layout_spec(id);
    _cleanup_json_ json_t *json = small_get_json(audit->store, spec_key, err), *problems = json_array();
    _cleanup_campaign_ struct campaign *campaign = json ? campaign_parse(json, id, problems) : NULL;
    if (!campaign)
        return false;
    if (campaign->workload == WORKLOAD_IMAGES) {
        *expected = images_job_count(&campaign->images) + campaign->images.sheet;
        return true;
    }
    _cleanup_json_ json_t *plan_json = small_get_json(audit->store, plan_key, err);
    *plan = plan_json ? plan_from_json(plan_json, err) : NULL;
    if (*plan)
        *expected = 1 + (*plan)->segment_count + (*plan)->language_count * ((*plan)->segment_count + 1);
    return *plan != NULL;
}

static bool audit_campaign(struct audit *audit, const char *id, struct error *err) {
    _cleanup_json_ json_t *campaign = queue_campaign(audit->queue, id, err), *published = json_object(),
                          *first_lines = json_object();
    if (!campaign)
        return false;
    if (strcmp(json_get_string(campaign, "state", ""), "done") != 0)
        problem(audit, json_get_string(campaign, "state", ""), id);
    _cleanup_json_ json_t *page = queue_jobs(audit->queue, id, NULL, 100000, err);
    _cleanup_free_ char *prefix = xasprintf("campaigns/%s/", id);
    _cleanup_plan_ struct plan *plan = NULL;
    size_t expected;
    if (!page || !expect_jobs(audit, id, &plan, &expected, err))
        return page != NULL;
    const json_t *jobs = json_object_get(page, "items");
    if (json_array_size(jobs) != expected)
        problem(audit, "it has another number of jobs than it should", id);
    audit->published = published;
    audit->first_lines = first_lines;
    audit_jobs(audit, plan, jobs, "track", true);
    audit_jobs(audit, plan, jobs, "track", false);
    return store_list(audit->store, prefix, audit_object, audit, err);
}

static void audit_bomb_job(struct audit *audit, const char *misdeed, const json_t *job) {
    const char *state = json_get_string(job, "state", "");
    audit->done_in_bombs += strcmp(state, "done") == 0;
    if (strcmp(state, "dead") != 0)
        return;
    const char *code = json_get_string(json_object_get(job, "error"), "code", "");
    json_t *ends = json_object_get(audit->bomb_ends, misdeed);
    if (!ends)
        json_object_set_new(audit->bomb_ends, misdeed, ends = json_object());
    json_object_set_new(ends, code, json_integer(json_get_integer(ends, code, 0) + 1));
}

static bool audit_bomb(struct audit *audit, long number, struct error *err) {
    _cleanup_free_ char *id = xasprintf("bomb-%ld", number);
    _cleanup_json_ json_t *campaign = queue_campaign(audit->queue, id, err);
    _cleanup_json_ json_t *page = campaign ? queue_jobs(audit->queue, id, NULL, 100000, err) : NULL;
    size_t i;
    json_t *job;
    if (!page)
        return false;
    if (strcmp(json_get_string(campaign, "state", ""), kind_of(number) == KIND_SHEET ? "partial" : "failed") != 0)
        problem(audit, json_get_string(campaign, "state", ""), id);
    json_array_foreach (json_object_get(page, "items"), i, job)
        audit_bomb_job(audit, misdeed_of(number), job);
    int64_t took = json_get_integer(campaign, "finished_ms", 0) - json_get_integer(campaign, "submitted_ms", 0);
    audit->longest_bomb_ms = MAX(audit->longest_bomb_ms, took);
    return true;
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

static json_t *audit_result(const struct audit *audit, const json_t *check) {
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O,s:O,s:O}", "missing", (json_int_t)audit->missing,
                     "jobs", (json_int_t)audit->jobs, "unfinished", (json_int_t)audit->unfinished, "unpublished",
                     (json_int_t)audit->unpublished, "errors", (json_int_t)audit->errors, "refusals",
                     (json_int_t)audit->refusals, "crashes", (json_int_t)audit->crashes, "done_in_bombs",
                     (json_int_t)audit->done_in_bombs, "longest_bomb_ms", (json_int_t)audit->longest_bomb_ms,
                     "finished_by_totals", (json_int_t)jobs_done(audit->queue), "bomb_ends", audit->bomb_ends,
                     "problems", audit->problems, "findings", json_object_get(check, "findings"));
}

static int audit(char **arguments) {
    struct error err;
    _cleanup_json_ json_t *problems = json_array(), *bomb_ends = json_object();
    struct audit audit = {.store = store_open(arguments[1], NULL, &err), .problems = problems, .bomb_ends = bomb_ends};
    if (!audit.store || !INSIST((audit.queue = open_queue(arguments[0], &err)) != NULL))
        return fail(&err);
    for (long i = 0; i < strtol(arguments[2], NULL, 10); i++) {
        _cleanup_free_ char *id = xasprintf("chaos-%ld", i);
        if (!audit_campaign(&audit, id, &err))
            problem(&audit, err.message, id);
    }
    for (long i = 0; i < strtol(arguments[4], NULL, 10); i++) {
        _cleanup_free_ char *id = xasprintf("show-%ld", i);
        if (!audit_campaign(&audit, id, &err))
            problem(&audit, err.message, id);
    }
    for (long i = 0; i < strtol(arguments[3], NULL, 10); i++)
        if (!audit_bomb(&audit, i, &err))
            problem(&audit, err.message, "a bomb");
    _cleanup_json_ json_t *check = queue_check(audit.queue, false, &err);
    if (!check)
        return fail(&err);
    _cleanup_json_ json_t *result = audit_result(&audit, check);
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
    if ((strcmp(command, "submit") == 0 || strcmp(command, "bombs") == 0) && count == 8)
        return submit(arguments + 2, command[0] == 'b');
    if (strcmp(command, "workers") == 0 && count == 3)
        return workers(arguments + 2);
    if (strcmp(command, "retry") == 0 && count == 3)
        return retry(arguments + 2);
    if (strcmp(command, "shows") == 0 && count == 6)
        return submit_shows(arguments + 2);
    if (strcmp(command, "audit") == 0 && count == 7)
        return audit(arguments + 2);
    fprintf(stderr, "see the head of chaos_tool.c\n");
    return 2;
}
