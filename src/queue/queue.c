/* Everything of queue.h that changes something; what only reads is in read.c. */
#include "queue/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "farm/names.h"
#include "queue/internal.h"

/* ---- opening ---- */

static redisReply *simple_command(struct queue *queue, const char *const *words, size_t count, struct error *err) {
    _cleanup_command_ struct command command = {0};
    for (size_t i = 0; i < count; i++)
        command_add(&command, words[i]);
    return redis_run(queue->redis, &command, true, 0, err);
}

bool queue_ping(struct queue *queue, struct error *err) {
    _cleanup_reply_ redisReply *reply = simple_command(queue, (const char *[]){"PING"}, 1, err);
    return reply != NULL;
}

/* An error of a command that the user's rights in Redis leave out. */
static bool may_not(const struct error *failure) {
    return failure->code == ERR_QUEUE_CONFIG && strstr(failure->message, "NOPERM");
}

/* ZMSCORE needs 6.2. */
static bool check_server(struct queue *queue, struct error *err) {
    struct error failure;
    _cleanup_reply_ redisReply *reply = simple_command(queue, (const char *[]){"INFO", "everything"}, 2, &failure);
    if (!reply && may_not(&failure)) {
        log_write(
            NULL, LOG_WARN,
            "this user of Redis may not ask INFO, so that version and maxmemory-policy are not checked: Redis must "
            "be 6.2 or later and set to noeviction");
        return true;
    }
    if (!reply) {
        *err = failure;
        return false;
    }
    const char *version = strstr(reply->str, "redis_version:"), *policy = strstr(reply->str, "maxmemory_policy:");
    int major = 0, minor = 0;
    if (version && sscanf(version, "redis_version:%d.%d", &major, &minor) == 2 &&
        (major < 6 || (major == 6 && minor < 2)))
        return error_set(err, ERR_QUEUE_CONFIG, "Redis is version %d.%d; mela needs 6.2 or later", major, minor);
    if (policy && strncmp(policy, "maxmemory_policy:noeviction", 27) != 0)
        return error_set(err, ERR_QUEUE_CONFIG,
                         "Redis may throw jobs away when its memory is full; set maxmemory-policy to noeviction");
    return true;
}

struct queue *queue_open(const struct queue_options *options, struct error *err) {
    _cleanup_queue_ struct queue *queue = xnew(struct queue);
    const char *farm = options->farm ? options->farm : "mela";
    if (!campaign_id_is_valid(farm)) {
        error_set(err, ERR_QUEUE_CONFIG, "the farm's name \"%s\" is not lower-case letters, digits and dashes", farm);
        return NULL;
    }
    queue->prefix = xasprintf("{%s}:", farm);
    queue->redis = redis_open(options->url, options->timeout_ms ? options->timeout_ms : 5000, err);
    if (!queue->redis || !check_server(queue, err))
        return NULL;
    return steal(queue);
}

void queue_close(struct queue *queue) {
    if (queue->redis)
        redis_close(queue->redis);
    free(queue->prefix);
    free(queue);
}

/* ---- scripts ---- */

redisReply *queue_script(struct queue *queue, const struct script *script, const struct command *arguments,
                         bool repeatable, struct error *err) {
    return redis_run_script(queue->redis, script, queue->prefix, arguments, repeatable, err);
}

static bool status_error(const char *status, const char *what, struct error *err) {
    enum error_code code = error_from_name(status);
    switch (code) {
    case ERR_QUEUE_STALE:
        return error_set(err, code, "%s: the lease is lost; another worker has the job or it has ended", what);
    case ERR_JOB_TIMEOUT:
        return error_set(err, code, "%s ran past the longest time its kind may take", what);
    case ERR_CANCELLED:
        return error_set(err, code, "%s was cancelled", what);
    case ERR_QUEUE_NOT_FOUND:
        return error_set(err, code, "%s is not known to this farm", what);
    case ERR_QUEUE_EXISTS:
        return error_set(err, code, "%s exists already with another spec", what);
    case ERR_QUEUE_STATE:
        return error_set(err, code, "%s is not in a state that allows this", what);
    case ERR_QUEUE_UNAVAILABLE:
        return error_set(err, code, "%s is just being removed; try again in some seconds", what);
    default:
        return error_set(err, ERR_INTERNAL, "%s: unexpected answer \"%s\" of a queue script", what, status);
    }
}

bool queue_status_script(struct queue *queue, const struct script *script, const struct command *arguments,
                         bool repeatable, const char *what, struct error *err) {
    _cleanup_reply_ redisReply *reply = queue_script(queue, script, arguments, repeatable, err);
    if (!reply)
        return false;
    return strcmp(reply->str, "ok") == 0 || status_error(reply->str, what, err);
}

void queue_add_pools(struct command *arguments) {
    _cleanup_buffer_ struct buffer pools = {0};
    for (int pool = 0; pool < POOL_COUNT; pool++)
        buffer_appendf(&pools, "%s ", pool_name((enum pool)pool));
    command_add(arguments, pools.data);
}

/* ---- campaigns ---- */

/* As lib/given.lua reads them. internal when one is not of the campaign, or leads out of it. */
static bool add_jobs(struct command *arguments, const char *campaign, const struct job_spec *jobs, size_t count,
                     struct error *err) {
    for (size_t i = 0; i < count; i++) {
        struct job_id id, next;
        if (!job_id_parse(jobs[i].id, &id) || strcmp(id.campaign, campaign) != 0 ||
            (jobs[i].next[0] && (!job_id_parse(jobs[i].next, &next) || strcmp(next.campaign, campaign) != 0)))
            return error_set(err, ERR_INTERNAL, "\"%s\" cannot become a job of %s", jobs[i].id, campaign);
        command_add(arguments, job_id_suffix(jobs[i].id));
        command_add(arguments, pool_name(job_kind_pool(id.kind)));
        command_add_integer(arguments, jobs[i].waits_for);
        command_add(arguments, jobs[i].next[0] ? job_id_suffix(jobs[i].next) : "");
        command_add(arguments, jobs[i].affinity);
    }
    return true;
}

bool queue_submit(struct queue *queue, const struct campaign *campaign, const char *spec_sha256, bool *created,
                  struct error *err) {
    _cleanup_free_ struct job_spec *jobs = NULL;
    size_t count = graph_first(campaign, &jobs);
    _cleanup_buffer_ struct buffer languages = {0};
    for (size_t i = 0; i < campaign->dub_count; i++)
        buffer_appendf(&languages, "%s%s", i ? " " : "", campaign->dubs[i].language);
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, campaign->id);
    command_add(&arguments, campaign->name);
    command_add(&arguments, campaign_class_name(campaign->class));
    command_add(&arguments, spec_sha256);
    command_add_integer(&arguments, campaign->deadline_ms);
    command_add(&arguments, languages.data ? languages.data : "");
    command_add(&arguments, workload_name(campaign->workload));
    command_add_integer(&arguments, images_picture_count(&campaign->images));
    if (!add_jobs(&arguments, campaign->id, jobs, count, err))
        return false;
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_submit, &arguments, true, err);
    if (!reply)
        return false;
    *created = strcmp(reply->str, "created") == 0;
    return *created || strcmp(reply->str, "known") == 0 || status_error(reply->str, campaign->id, err);
}

bool queue_cancel(struct queue *queue, const char *campaign, struct error *err) {
    if (!campaign_id_check(campaign, err))
        return false;
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, campaign);
    return queue_status_script(queue, &script_cancel, &arguments, true, campaign, err);
}

bool queue_retry(struct queue *queue, const char *job_id, struct error *err) {
    struct job_id parsed;
    if (!job_id_check(job_id, &parsed, err))
        return false;
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, job_id);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_retry, &arguments, false, err);
    if (!reply)
        return false;
    const char *status = reply->element[0]->str;
    if (strcmp(status, "queue.state") == 0)
        return error_set(err, ERR_QUEUE_STATE, "%s cannot be retried: %s", job_id, reply->element[1]->str);
    return strcmp(status, "ok") == 0 || status_error(status, job_id, err);
}

/* ---- workers ---- */

static bool check_worker_id(const char *worker, struct error *err) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t length = strlen(worker);
    return (length > 0 && length <= QUEUE_WORKER_MAX && strspn(worker, allowed) == length) ||
           error_set(err, ERR_USAGE, "\"%.100s\" is no worker id: 1 to %d of letters, digits and ._:-", worker,
                     QUEUE_WORKER_MAX);
}

/* Reads {id, stamp, class} from a claim's reply. */
static bool read_claim(struct redisReply *const *values, struct claim *claim, struct error *err) {
    if (!job_id_check(values[0]->str, &claim->job, err))
        return error_wrap(err, "claimed from the queue");
    job_id_format(&claim->job, claim->job_id);
    snprintf(claim->stamp, sizeof claim->stamp, "%s", values[1]->str);
    claim->attempt = (int)strtol(claim->stamp, NULL, 10);
    return campaign_class_parse(values[2]->str, &claim->class) ||
           error_set(err, ERR_INTERNAL, "%s has the unknown class \"%s\"", claim->job_id, values[2]->str);
}

/* The pools in one argument, another one first each time: so a worker of several takes from them in turn, and none can
 * starve another. */
static void add_pools_in_turn(struct queue *queue, struct command *arguments, const struct claim_options *options) {
    _cleanup_buffer_ struct buffer pools = {0};
    for (size_t i = 0; i < options->pool_count; i++)
        buffer_appendf(&pools, "%s ", pool_name(options->pools[(queue->turn + i) % options->pool_count]));
    command_add(arguments, pools.data ? pools.data : "");
    command_add(arguments, options->only ? campaign_class_name(*options->only) : "urgent batch");
    queue->turn++;
}

/* "" when it does not matter what is held; else a space before each name, and one if there is none. */
static void add_holds(struct command *arguments, const struct claim_options *options) {
    _cleanup_buffer_ struct buffer holds = {0};
    buffer_append_text(&holds, options->holds ? " " : "");
    for (size_t i = 0; options->holds && i < MIN(options->hold_count, (size_t)CLAIM_HOLDS_MAX); i++)
        buffer_appendf(&holds, " %s", options->holds[i]);
    command_add(arguments, holds.data ? holds.data : "");
}

/* What every script begins with that claims. */
static void add_claim(struct queue *queue, struct command *arguments, const struct claim_options *options,
                      size_t capacity) {
    command_add(arguments, options->worker);
    command_add_integer(arguments, options->lease_ms);
    command_add_integer(arguments, (int64_t)capacity);
    add_pools_in_turn(queue, arguments, options);
    add_holds(arguments, options);
}

/* Adds each lane that is claimed from: "<prefix>lipsync:batch". */
static void add_lanes(struct command *command, const char *prefix, const struct claim_options *options) {
    for (size_t i = 0; i < options->pool_count; i++)
        for (int class = 0; class < CLASS_COUNT; class ++) {
            if (options->only && *options->only != (enum campaign_class) class)
                continue;
            _cleanup_free_ char *lane = xasprintf("%s%s:%s", prefix, pool_name(options->pools[i]),
                                                  campaign_class_name((enum campaign_class) class));
            command_add(command, lane);
        }
}

static bool read_claims(struct redisReply *const *values, size_t value_count, struct claim *claims, size_t *count,
                        struct error *err) {
    for (size_t i = 0; i + 2 < value_count; i += 3)
        if (!read_claim(values + i, &claims[(*count)++], err))
            return false;
    return true;
}

bool queue_claim(struct queue *queue, const struct claim_options *options, struct claim *claims, size_t capacity,
                 size_t *count, struct error *err) {
    *count = 0;
    if (!check_worker_id(options->worker, err))
        return false;
    _cleanup_command_ struct command arguments = {0};
    add_claim(queue, &arguments, options, capacity);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_claim, &arguments, false, err);
    return reply && read_claims(reply->element, reply->elements, claims, count, err);
}

/* In how many ms there may be something to claim: 0: now; -1: nothing is in sight; -2: failed. */
static int64_t next_due(struct queue *queue, const struct claim_options *options, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    add_lanes(&arguments, "", options);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_due, &arguments, true, err);
    return reply ? reply->integer : -2;
}

/* Waits for the marker of one of the lanes and removes it. Not sent twice: a marker whose reply was lost is gone,
 * but the next look finds the job that it told of. */
static bool post_pop_of_marker(struct queue *queue, const struct claim_options *options, int wait_ms,
                               struct error *err) {
    _cleanup_command_ struct command command = {0};
    _cleanup_free_ char *prefix = xasprintf("%smarker:", queue->prefix);
    command_add(&command, "BZPOPMIN");
    add_lanes(&command, prefix, options);
    command_add_number(&command, wait_ms / 1000.0);
    return redis_post(queue->redis, &command, wait_ms, err);
}

/* The wait is cut at the next due time, and at the length of a lease: a lease made later cannot run out
 * before that (docs/queue.md, waking). */
bool queue_wait_begin(struct queue *queue, const struct claim_options *options, int wait_ms, bool *ready,
                      struct error *err) {
    int64_t due = next_due(queue, options, err);
    *ready = due == 0;
    if (due == -2 || *ready)
        return *ready;
    int round = (int)MIN((int64_t)wait_ms, (int64_t)MAX(options->lease_ms, 1));
    queue->waits_until_due = due > 0 && due <= round;
    return post_pop_of_marker(queue, options, queue->waits_until_due ? (int)due : round, err);
}

int queue_wait_descriptor(const struct queue *queue) { return redis_descriptor(queue->redis); }

bool queue_wait_end(struct queue *queue, bool *ready, struct error *err) {
    _cleanup_reply_ redisReply *reply = redis_collect(queue->redis, err);
    *ready = reply && (queue->waits_until_due || reply->type == REDIS_REPLY_ARRAY);
    return reply != NULL;
}

void queue_wait_abandon(struct queue *queue) { redis_hang_up(queue->redis); }

bool queue_wait(struct queue *queue, const struct claim_options *options, int wait_ms, bool *ready, struct error *err) {
    int64_t deadline = clock_monotonic_ms(clock_system()) + wait_ms;
    do {
        int64_t left = MAX(deadline - clock_monotonic_ms(clock_system()), 1);
        if (!queue_wait_begin(queue, options, (int)left, ready, err) || (!*ready && !queue_wait_end(queue, ready, err)))
            return false;
    } while (!*ready && clock_monotonic_ms(clock_system()) < deadline);
    return true;
}

/* The arguments that every fenced script begins with: job, worker, stamp. */
static bool add_fence(struct command *arguments, const char *worker, const struct claim *claim, struct error *err) {
    command_add(arguments, claim->job_id);
    command_add(arguments, worker);
    command_add(arguments, claim->stamp);
    return check_worker_id(worker, err);
}

bool queue_heartbeat(struct queue *queue, const char *worker, const struct claim *claim, int lease_ms,
                     const json_t *progress, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    _cleanup_free_ char *text = progress ? json_line(progress) : NULL;
    if (!add_fence(&arguments, worker, claim, err))
        return false;
    command_add_integer(&arguments, lease_ms);
    command_add(&arguments, text ? text : "");
    return queue_status_script(queue, &script_heartbeat, &arguments, true, claim->job_id, err);
}

bool queue_adopt(struct queue *queue, const char *worker, const struct job_spec *job, int lease_ms, bool dry_run,
                 enum adoption *adoption, struct claim *claim, struct error *err) {
    static const char *const answers[] = {"adopted", "open", "done", "ended", "busy"};
    _cleanup_command_ struct command arguments = {0};
    int index;
    *claim = (struct claim){0};
    if (!job_id_check(job->id, &claim->job, err) || !check_worker_id(worker, err))
        return false;
    snprintf(claim->job_id, sizeof claim->job_id, "%s", job->id);
    command_add(&arguments, job->id);
    command_add(&arguments, pool_name(job_kind_pool(claim->job.kind)));
    command_add(&arguments, job->next[0] ? job_id_suffix(job->next) : "");
    command_add(&arguments, worker);
    command_add_integer(&arguments, lease_ms);
    command_add_integer(&arguments, dry_run);
    command_add(&arguments, job->affinity);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_adopt, &arguments, false, err);
    if (!reply)
        return false;
    if (!names_find(answers, ARRAY_LENGTH(answers), reply->element[0]->str, &index))
        return error_set(err, error_from_name(reply->element[0]->str), "%s cannot be restored", job->id);
    snprintf(claim->stamp, sizeof claim->stamp, "%s", reply->element[1]->str);
    *adoption = (enum adoption)index;
    return true;
}

static void add_amount(struct buffer *totals, const char *prefix, const char *name, int64_t amount) {
    buffer_append_text(totals, prefix);
    buffer_append_text(totals, name);
    buffer_append(totals, " ", 1);
    buffer_append_integer(totals, amount);
    buffer_append(totals, " ", 1);
}

static void add_total(struct buffer *totals, const char *prefix, const char *name, const json_t *value) {
    if (json_number_value(value) > 0 && strlen(name) <= 100 && !strpbrk(name, " \t\r\n\v\f"))
        add_amount(totals, prefix, name, (int64_t)CLAMP(json_number_value(value), 0.0, 1e12));
}

/* What a job adds to the farm's totals, in one argument: itself, its time, also on the card and in each step, frames
 * and bytes. */
static void add_finish_totals(struct command *arguments, enum job_kind kind, const json_t *report) {
    _cleanup_buffer_ struct buffer totals = {0};
    add_amount(&totals, "jobs_done:", job_kind_name(kind), 1);
    add_total(&totals, "job_ms:", job_kind_name(kind), json_object_get(report, "duration_ms"));
    add_total(&totals, "gpu_ms:", job_kind_name(kind), json_object_get(report, "gpu_ms"));
    add_total(&totals, "", "frames", json_object_get(report, "frames"));
    add_total(&totals, "", "pictures", json_object_get(report, "pictures"));
    add_total(&totals, "", "bytes", json_object_get(report, "bytes"));
    const char *step;
    json_t *ms;
    json_object_foreach (json_object_get(report, "steps_ms"), step, ms)
        add_total(&totals, "step_ms:", step, ms);
    command_add(arguments, totals.data);
}

static bool add_finish(struct command *arguments, const struct claim *claim, const struct job_result *result,
                       struct error *err) {
    _cleanup_free_ char *report = result->report ? json_line(result->report) : xstrdup("{}");
    command_add(arguments, claim->job_id);
    command_add(arguments, claim->stamp);
    command_add(arguments, result->artifact ? result->artifact : "");
    command_add(arguments, report);
    add_finish_totals(arguments, claim->job.kind, result->report);
    command_add_integer(arguments, (int64_t)result->child_count);
    return add_jobs(arguments, claim->job.campaign, result->children, result->child_count, err);
}

bool queue_finish_many(struct queue *queue, const struct claim_options *options, const struct claim *done,
                       const struct job_result *results, size_t done_count, struct error *refusals,
                       struct claim *claims, size_t capacity, size_t *count, struct error *err) {
    *count = 0;
    if (!check_worker_id(options->worker, err))
        return false;
    _cleanup_command_ struct command arguments = {0};
    add_claim(queue, &arguments, options, capacity);
    for (size_t i = 0; i < done_count; i++)
        if (!add_finish(&arguments, &done[i], &results[i], err))
            return false;
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_finish, &arguments, true, err);
    if (!reply)
        return false;
    for (size_t i = 0; i < done_count; i++) {
        const char *status = reply->element[i]->str;
        refusals[i].code = ERR_NONE;
        if (strcmp(status, "ok") != 0)
            (void)!status_error(status, done[i].job_id, &refusals[i]);
    }
    return read_claims(reply->element + done_count, reply->elements - done_count, claims, count, err);
}

bool queue_finish_and_claim(struct queue *queue, const struct claim_options *options, const struct claim *claim,
                            const struct job_result *result, struct claim *claims, size_t capacity, size_t *count,
                            struct error *err) {
    struct error refusal;
    if (!queue_finish_many(queue, options, claim, result, 1, &refusal, claims, capacity, count, err))
        return false;
    if (refusal.code != ERR_NONE)
        *err = refusal;
    return refusal.code == ERR_NONE;
}

bool queue_finish(struct queue *queue, const char *worker, const struct claim *claim, const struct job_result *result,
                  struct error *err) {
    size_t none;
    struct claim_options options = {.worker = worker};
    return queue_finish_and_claim(queue, &options, claim, result, NULL, 0, &none, err);
}

/* What was written down of a failure, or what its code means when that is not UTF-8: it may be cut inside a character.
 */
static const char *failure_message(const char *message, enum error_code code) {
    _cleanup_json_ json_t *text = json_string(message);
    return text ? message : error_meaning(code);
}

bool queue_fail(struct queue *queue, const char *worker, const struct claim *claim, const struct error *failure,
                struct error *err) {
    _cleanup_json_ json_t *error = json_pack("{s:s, s:s}", "code", error_name(failure->code), "message",
                                             failure_message(failure->message, failure->code));
    _cleanup_free_ char *text = json_line(error);
    _cleanup_command_ struct command arguments = {0};
    if (!add_fence(&arguments, worker, claim, err))
        return false;
    command_add(&arguments, text);
    command_add(&arguments, fault_name(error_fault(failure->code)));
    command_add_number(&arguments, random_unit());
    return queue_status_script(queue, &script_fail, &arguments, false, claim->job_id, err);
}

bool queue_crash(struct queue *queue, const char *worker, const struct claim *claim, const char *message,
                 struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    if (!add_fence(&arguments, worker, claim, err))
        return false;
    command_add(&arguments, failure_message(message, ERR_JOB_CRASHED));
    return queue_status_script(queue, &script_crash, &arguments, false, claim->job_id, err);
}

bool queue_release(struct queue *queue, const char *worker, const struct claim *claim, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    return add_fence(&arguments, worker, claim, err) &&
           queue_status_script(queue, &script_release, &arguments, false, claim->job_id, err);
}

bool queue_worker_beat(struct queue *queue, const char *worker, const json_t *info, int ttl_ms, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    _cleanup_free_ char *text = json_line(info);
    command_add(&arguments, worker);
    command_add(&arguments, text);
    command_add_integer(&arguments, ttl_ms);
    return check_worker_id(worker, err) && queue_status_script(queue, &script_beat, &arguments, true, worker, err);
}

bool queue_worker_gone(struct queue *queue, const char *worker, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, worker);
    return queue_status_script(queue, &script_gone, &arguments, true, worker, err);
}

bool queue_hold(struct queue *queue, enum pool pool, enum campaign_class class, enum hold hold, int64_t until_ms,
                struct error *err) {
    const int64_t never = INT64_C(1) << 52; /* exact in Lua's numbers */
    int64_t until = CLAMP(until_ms, 0, never);
    _cleanup_command_ struct command arguments = {0};
    _cleanup_free_ char *field =
        xasprintf("%s:%s%s", pool_name(pool), campaign_class_name(class), hold == HOLD_CALENDAR ? "" : ":hand");
    command_add(&arguments, field);
    command_add_integer(&arguments, hold == RUN_BY_HAND ? -until : until);
    return queue_status_script(queue, &script_hold, &arguments, true, field, err);
}

bool queue_set_failure(struct queue *queue, const struct failure_policies *policies, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        _cleanup_buffer_ struct buffer limits = {0};
        for (int i = 0; i < FAILURE_LIMIT_COUNT; i++)
            buffer_appendf(&limits, "%s%d", i ? " " : "", policies->limits[kind][i]);
        command_add(&arguments, job_kind_name((enum job_kind)kind));
        command_add(&arguments, limits.data);
    }
    return queue_status_script(queue, &script_set_failure, &arguments, true, "failure", err);
}

bool queue_sweep(struct queue *queue, int64_t keep_ms, bool *more, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    command_add_integer(&arguments, keep_ms);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_sweep, &arguments, true, err);
    if (!reply)
        return false;
    *more = reply->integer > 0;
    return true;
}
