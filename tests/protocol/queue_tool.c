/* Obeys one JSON command a line, answers likewise: every call of the queue's interface, on a clock that the test moves.
 *
 *   queue_tool REDIS
 */
#include <stdio.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "../chaos/small_job.h"
#include "base/process.h"
#include "queue/check.h"

struct tool {
    struct queue *queue;
    redisContext *redis;
};

/* A claim from its "job" and "stamp". */
static bool read_claim(const json_t *command, struct claim *claim, struct error *err) {
    *claim = (struct claim){0};
    snprintf(claim->job_id, sizeof claim->job_id, "%s", json_get_string(command, "job", ""));
    snprintf(claim->stamp, sizeof claim->stamp, "%s", json_get_string(command, "stamp", ""));
    return job_id_parse(claim->job_id, &claim->job) || error_set(err, ERR_USAGE, "%s is no job", claim->job_id);
}

/* Of pictures when it names "loras". */
static struct campaign *read_campaign(const json_t *command, const char *id) {
    const char *class = json_get_string(command, "class", "batch"), *loras = json_get_string(command, "loras", NULL);
    if (loras)
        return small_images(id, class, loras, (int)json_get_integer(command, "each", 1),
                            json_get_bool(command, "sheet", true));
    return small_campaign(id, class, json_get_string(command, "languages", "hi"),
                          (int)json_get_integer(command, "segments", 1));
}

static bool submit(struct tool *tool, const json_t *command, json_t *answer, struct error *err) {
    _cleanup_campaign_ struct campaign *campaign = read_campaign(command, json_get_string(command, "id", ""));
    bool created = false;
    bool done = queue_submit(tool->queue, campaign, json_get_string(command, "spec", "x"), &created, err);
    json_object_set_new(answer, "created", json_boolean(created));
    return done;
}

/* Who asks for jobs, and for which. */
struct asker {
    enum pool pools[POOL_COUNT];
    enum campaign_class only;
    const char *holds[CLAIM_HOLDS_MAX];
    struct claim_options options;
};

static void read_asker(const json_t *command, struct asker *asker) {
    size_t i, count = 0;
    json_t *name;
    json_array_foreach (json_object_get(command, "pools"), i, name)
        count += pool_parse(json_string_value(name), &asker->pools[count]);
    json_array_foreach (json_object_get(command, "holds"), i, name)
        asker->holds[i] = json_string_value(name);
    bool one_class = campaign_class_parse(json_get_string(command, "only", ""), &asker->only);
    asker->options = (struct claim_options){.worker = json_get_string(command, "worker", ""),
                                            .pools = asker->pools,
                                            .pool_count = count,
                                            .lease_ms = (int)json_get_integer(command, "lease", 1000),
                                            .only = one_class ? &asker->only : NULL,
                                            .holds = json_object_get(command, "holds") ? asker->holds : NULL,
                                            .hold_count = json_array_size(json_object_get(command, "holds"))};
}

/* Claims, after finishing `held` if there is one. */
static bool claim_with(struct tool *tool, const json_t *command, const struct claim *held,
                       const struct job_result *result, json_t *answer, struct error *err) {
    enum { MOST = 16 };
    struct claim claims[MOST];
    struct asker asker;
    size_t i, count;
    json_t *list = json_array();
    read_asker(command, &asker);
    json_object_set_new(answer, "claims", list);
    size_t capacity = (size_t)MIN(json_get_integer(command, "capacity", 0), MOST);
    if (!(held ? queue_finish_and_claim(tool->queue, &asker.options, held, result, claims, capacity, &count, err)
               : queue_claim(tool->queue, &asker.options, claims, capacity, &count, err)))
        return false;
    for (i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "job", claims[i].job_id, "stamp", claims[i].stamp));
    return true;
}

/* The children follow from the campaign's shape, which the command repeats; claims again where it says "capacity". */
static bool finish(struct tool *tool, const json_t *command, const struct claim *held, json_t *answer,
                   struct error *err) {
    _cleanup_campaign_ struct campaign *campaign = read_campaign(command, held->job.campaign);
    _cleanup_plan_ struct plan *plan = campaign->workload == WORKLOAD_DUBS ? small_make_plan(campaign) : NULL;
    _cleanup_free_ struct job_spec *children = NULL;
    _cleanup_free_ char *artifact = layout_artifact(&held->job, held->stamp);
    struct job_result result = {.artifact = artifact};
    result.child_count = graph_children(campaign, plan, &held->job, &children);
    result.children = children;
    return claim_with(tool, command, held, &result, answer, err);
}

static enum error_code code_of_fault(const char *fault) {
    if (strcmp(fault, "input") == 0)
        return ERR_MEDIA_EMPTY;
    return strcmp(fault, "worker") == 0 ? ERR_DISK_FULL : ERR_STORE_UNAVAILABLE;
}

static bool held_call(struct tool *tool, const char *operation, const json_t *command, json_t *answer,
                      struct error *err) {
    const char *worker = json_get_string(command, "worker", "");
    struct claim held;
    if (!read_claim(command, &held, err))
        return false;
    if (strcmp(operation, "finish") == 0)
        return finish(tool, command, &held, answer, err);
    if (strcmp(operation, "heartbeat") == 0)
        return queue_heartbeat(tool->queue, worker, &held, (int)json_get_integer(command, "lease", 1000), NULL, err);
    if (strcmp(operation, "release") == 0)
        return queue_release(tool->queue, worker, &held, err);
    if (strcmp(operation, "crash") == 0)
        return queue_crash(tool->queue, worker, &held, "made to crash", err);
    struct error failure;
    error_set(&failure, code_of_fault(json_get_string(command, "fault", "")), "made to fail");
    return queue_fail(tool->queue, worker, &held, &failure, err);
}

/* The look of an idle worker: whether it would rather claim than block. */
static bool wait_briefly(struct tool *tool, const json_t *command, json_t *answer, struct error *err) {
    struct asker asker;
    bool ready = false;
    read_asker(command, &asker);
    bool done = queue_wait(tool->queue, &asker.options, 1, &ready, err);
    json_object_set_new(answer, "ready", json_boolean(ready));
    return done;
}

/* The waking of a blocked worker: takes a marker, if there is one. */
static bool take_marker(struct tool *tool, const json_t *command, json_t *answer, struct error *err) {
    size_t i;
    json_t *lane;
    bool taken = false;
    json_array_foreach (json_object_get(command, "lanes"), i, lane) {
        redisReply *reply = redisCommand(tool->redis, "ZPOPMIN {mela}:marker:%s", json_string_value(lane));
        if (!reply)
            return error_set(err, ERR_QUEUE_UNAVAILABLE, "%s", tool->redis->errstr);
        taken = taken || reply->elements > 0;
        freeReplyObject(reply);
        if (taken)
            break;
    }
    json_object_set_new(answer, "taken", json_boolean(taken));
    return true;
}

/* All jobs of a campaign by id, its state, and what the audit says. */
static bool look(struct tool *tool, const json_t *command, json_t *answer, struct error *err) {
    const char *id = json_get_string(command, "id", "");
    _cleanup_json_ json_t *campaign = queue_campaign(tool->queue, id, err);
    _cleanup_json_ json_t *jobs = campaign ? queue_jobs(tool->queue, id, NULL, 10000, err) : NULL;
    if (!jobs)
        return false;
    json_object_set(answer, "campaign", campaign);
    json_object_set(answer, "jobs", json_object_get(jobs, "items"));
    return true;
}

static bool check(struct tool *tool, json_t *answer, struct error *err) {
    _cleanup_json_ json_t *result = queue_check(tool->queue, false, err);
    if (result)
        json_object_set(answer, "findings", json_object_get(result, "findings"));
    return result != NULL;
}

static bool plain(struct tool *tool, const char *text) {
    redisReply *reply = redisCommand(tool->redis, text);
    bool done = reply && reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return done;
}

static bool set_clock(struct tool *tool, int64_t ms, struct error *err) {
    _cleanup_free_ char *text = xasprintf("SET {mela}:test_clock %lld", (long long)ms);
    return plain(tool, text) || error_set(err, ERR_INTERNAL, "the clock cannot be set");
}

/* "limits": {kind: the seven of enum failure_limit}. */
static bool set_failure(struct tool *tool, const json_t *command, struct error *err) {
    struct failure_policies policies = failure_defaults;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        const json_t *given = json_object_get(json_object_get(command, "limits"), job_kind_name((enum job_kind)kind));
        for (size_t i = 0; i < json_array_size(given); i++)
            policies.limits[kind][i] = (int)json_integer_value(json_array_get(given, i));
    }
    return queue_set_failure(tool->queue, &policies, err);
}

static bool beat(struct tool *tool, const json_t *command, struct error *err) {
    _cleanup_json_ json_t *info = json_object();
    return queue_worker_beat(tool->queue, json_get_string(command, "worker", ""), info, 3600000, err);
}

static bool obey(struct tool *tool, const json_t *command, json_t *answer, struct error *err) {
    const char *operation = json_get_string(command, "do", "");
    bool more;
    if (strcmp(operation, "reset") == 0)
        return plain(tool, "FLUSHALL") && set_clock(tool, 1000000, err);
    if (strcmp(operation, "clock") == 0)
        return set_clock(tool, json_get_integer(command, "ms", 0), err);
    if (strcmp(operation, "submit") == 0)
        return submit(tool, command, answer, err);
    if (strcmp(operation, "claim") == 0)
        return claim_with(tool, command, NULL, NULL, answer, err);
    if (strcmp(operation, "wait") == 0)
        return wait_briefly(tool, command, answer, err);
    if (strcmp(operation, "take_marker") == 0)
        return take_marker(tool, command, answer, err);
    if (strcmp(operation, "failure") == 0)
        return set_failure(tool, command, err);
    if (strcmp(operation, "beat") == 0)
        return beat(tool, command, err);
    if (strcmp(operation, "gone") == 0)
        return queue_worker_gone(tool->queue, json_get_string(command, "worker", ""), err);
    if (strcmp(operation, "retry") == 0)
        return queue_retry(tool->queue, json_get_string(command, "job", ""), err);
    if (strcmp(operation, "cancel") == 0)
        return queue_cancel(tool->queue, json_get_string(command, "id", ""), err);
    if (strcmp(operation, "sweep") == 0)
        return queue_sweep(tool->queue, json_get_integer(command, "keep", 0), &more, err);
    if (strcmp(operation, "look") == 0)
        return look(tool, command, answer, err);
    if (strcmp(operation, "check") == 0)
        return check(tool, answer, err);
    return held_call(tool, operation, command, answer, err);
}

int main(int count, char **arguments) {
    process_begin();
    struct error err;
    struct queue_options options = {.url = count > 1 ? arguments[1] : ""};
    struct tool tool = {.queue = queue_open(&options, &err)};
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    if (!tool.queue || !(tool.redis = redisConnectUnix(options.url + strlen("unix://"))) || tool.redis->err) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    while (getline(&line, &capacity, stdin) > 0) {
        _cleanup_json_ json_t *answer = json_object(), *command = json_parse(line, strlen(line), &err);
        bool done = command && obey(&tool, command, answer, &err);
        json_object_set_new(answer, "error", done ? json_null() : json_string(error_name(err.code)));
        _cleanup_free_ char *text = json_line(answer);
        puts(text);
        fflush(stdout);
    }
    redisFree(tool.redis);
    queue_close(tool.queue);
    return 0;
}
