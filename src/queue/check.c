/* The audit: a walk over all keys, then over each campaign, then the sums of lanes. */
#include "queue/check.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "queue/internal.h"

enum { FINDINGS_MAX = 1000, KEYS_AT_ONCE = 500 };

struct check {
    struct queue *queue;
    bool repair;
    json_t *findings, *campaigns; /* campaigns: an object, used as the set of ids that were found */
    int64_t keys, jobs;
};

static void add_finding(struct check *check, const char *what, const char *in, const char *where, bool repaired) {
    if (json_array_size(check->findings) < FINDINGS_MAX)
        json_array_append_new(check->findings, json_pack("{s:s, s:o, s:b}", "what", what, "where",
                                                         in ? json_sprintf("%s: %s", in, where) : json_string(where),
                                                         "repaired", repaired));
}

/* Adds {finding, where, ...} from element `from` of a reply on; `in`: the set or hash they are of, or NULL. */
static void add_findings(struct check *check, const char *in, const redisReply *reply, size_t from) {
    for (size_t i = from; i + 1 < reply->elements; i += 2)
        add_finding(check, reply->element[i]->str, in, reply->element[i + 1]->str,
                    check->repair && strcmp(reply->element[i]->str, "no key of this farm") != 0);
}

/* ---- campaigns ---- */

/* Walks over a campaign's jobs. *differs: its sums are not what was found, which in a campaign of more than one piece
 * may only mean that jobs moved in between. */
static bool walk_campaign(struct check *check, const char *id, bool *differs, struct error *err) {
    _cleanup_free_ char *from = xstrdup("");
    int64_t wrong[JOB_STATE_COUNT] = {0};
    *differs = false;
    do {
        _cleanup_command_ struct command arguments = {0};
        command_add(&arguments, id);
        command_add(&arguments, from);
        command_add_integer(&arguments, check->repair);
        queue_add_pools(&arguments);
        _cleanup_reply_ redisReply *reply = queue_script(check->queue, &script_check_campaign, &arguments, true, err);
        if (!reply)
            return false;
        if (reply->elements == 0)
            return true;
        free(from);
        from = xstrdup(reply->element[0]->str);
        for (int i = 0; i < JOB_STATE_COUNT; i++) {
            wrong[i] += reply->element[1]->element[i]->integer;
            check->jobs += reply->element[1]->element[i]->integer;
            if (!from[0])
                *differs |= wrong[i] != reply->element[2]->element[i]->integer;
        }
        add_findings(check, NULL, reply, 3);
    } while (from[0]);
    return true;
}

static bool check_campaign(struct check *check, const char *id, struct error *err) {
    bool differs;
    if (!walk_campaign(check, id, &differs, err))
        return false;
    if (!differs)
        return true;
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, id);
    command_add_integer(&arguments, check->repair);
    _cleanup_reply_ redisReply *reply = queue_script(check->queue, &script_check_sums, &arguments, true, err);
    if (reply)
        add_findings(check, NULL, reply, 0);
    return reply != NULL;
}

/* ---- keys and sets ---- */

static bool check_set(struct check *check, const char *name, struct error *err) {
    int64_t rank = 0;
    while (rank >= 0) {
        _cleanup_command_ struct command arguments = {0};
        command_add(&arguments, name);
        command_add_integer(&arguments, rank);
        command_add_integer(&arguments, check->repair);
        _cleanup_reply_ redisReply *reply = queue_script(check->queue, &script_check_set, &arguments, true, err);
        if (!reply)
            return false;
        rank = reply->element[0]->integer;
        add_findings(check, name, reply, 1);
    }
    return true;
}

static bool is_set(const char *name) {
    static const char *const sets[] = {
        "leases", "delayed:", "dead", "ready:", "affinities:", "fair:", "campaigns", "finished"};
    for (size_t i = 0; i < ARRAY_LENGTH(sets); i++) {
        size_t length = strlen(sets[i]);
        if (strncmp(name, sets[i], length) == 0 && (sets[i][length - 1] == ':' || name[length] == '\0'))
            return true;
    }
    return false;
}

static void note_campaign(struct check *check, const char *name) {
    static const char prefix[] = "campaign:";
    if (strncmp(name, prefix, strlen(prefix)) == 0 && !strchr(name + strlen(prefix), ':'))
        json_object_set_new(check->campaigns, name + strlen(prefix), json_true());
}

/* The keys of one SCAN reply. SCAN may return a key twice, and then a finding is listed twice. */
static bool check_keys(struct check *check, const redisReply *keys, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    command_add_integer(&arguments, check->repair);
    for (size_t i = 0; i < keys->elements; i++)
        command_add(&arguments, keys->element[i]->str + strlen(check->queue->prefix));
    _cleanup_reply_ redisReply *reply =
        keys->elements ? queue_script(check->queue, &script_check_keys, &arguments, true, err) : NULL;
    if (keys->elements && !reply)
        return false;
    if (reply)
        add_findings(check, NULL, reply, 0);
    for (size_t i = 0; i < keys->elements; i++) {
        const char *name = keys->element[i]->str + strlen(check->queue->prefix);
        note_campaign(check, name);
        if (is_set(name) && !check_set(check, name, err))
            return false;
    }
    check->keys += (int64_t)keys->elements;
    return true;
}

static bool check_all_keys(struct check *check, struct error *err) {
    _cleanup_free_ char *cursor = xstrdup("0"), *pattern = xasprintf("%s*", check->queue->prefix);
    do {
        _cleanup_command_ struct command command = {0};
        const char *const words[] = {"SCAN", cursor, "MATCH", pattern, "COUNT"};
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
            command_add(&command, words[i]);
        command_add_integer(&command, KEYS_AT_ONCE);
        _cleanup_reply_ redisReply *reply = redis_run(check->queue->redis, &command, true, 0, err);
        if (!reply || !check_keys(check, reply->element[1], err))
            return false;
        free(cursor);
        cursor = xstrdup(reply->element[0]->str);
    } while (strcmp(cursor, "0") != 0);
    return true;
}

static bool check_counts(struct check *check, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    command_add_integer(&arguments, check->repair);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        command_add(&arguments, pool_name((enum pool)pool));
    _cleanup_reply_ redisReply *reply = queue_script(check->queue, &script_check_counts, &arguments, true, err);
    if (reply)
        add_findings(check, "counts", reply, 0);
    return reply != NULL;
}

json_t *queue_check(struct queue *queue, bool repair, struct error *err) {
    _cleanup_json_ json_t *findings = json_array(), *campaigns = json_object();
    struct check check = {.queue = queue, .repair = repair, .findings = findings, .campaigns = campaigns};
    if (!check_all_keys(&check, err))
        return NULL;
    const char *id;
    json_t *unused;
    json_object_foreach (campaigns, id, unused)
        if (!check_campaign(&check, id, err))
            return NULL;
    if (!check_counts(&check, err)) /* last, since repairs of jobs change these sums */
        return NULL;
    return json_pack("{s:I, s:I, s:I, s:O}", "keys", (json_int_t)check.keys, "campaigns",
                     (json_int_t)json_object_size(campaigns), "jobs", (json_int_t)check.jobs, "findings", findings);
}

/* ---- stats ---- */

/* Adds the reply of "<command_name> <prefix><name>", a number, to `stats`. */
static bool add_size(struct queue *queue, const char *command_name, const char *name, json_t *stats,
                     struct error *err) {
    _cleanup_free_ char *key = xasprintf("%s%s", queue->prefix, name);
    _cleanup_command_ struct command command = {0};
    command_add(&command, command_name);
    command_add(&command, key);
    _cleanup_reply_ redisReply *reply = redis_run(queue->redis, &command, true, 0, err);
    if (reply)
        json_object_set_new(stats, name, json_integer(reply->integer));
    return reply != NULL;
}

static bool add_memory_stats(struct queue *queue, json_t *stats, struct error *err) {
    struct redis_state redis;
    if (!queue_redis_state(queue, &redis, err))
        return false;
    json_object_set_new(stats, "memory_bytes", json_integer(redis.memory_bytes));
    return true;
}

static bool add_pool_stats(struct queue *queue, json_t *stats, struct error *err) {
    json_t *pools = json_object();
    int64_t oldest = 0;
    json_object_set_new(stats, "pools", pools);
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        struct pool_counts counts;
        if (!queue_pool_counts(queue, (enum pool)pool, INT32_MAX, &counts, err))
            return false;
        json_t *classes = json_object();
        for (int class = 0; class < CLASS_COUNT; class ++)
            json_object_set_new(classes, campaign_class_name((enum campaign_class) class),
                                json_pack("{s:I, s:I, s:I}", "ready", (json_int_t)counts.ready[class], "leased",
                                          (json_int_t)counts.leased[class], "delayed",
                                          (json_int_t)counts.delayed[class]));
        json_object_set_new(pools, pool_name((enum pool)pool), classes);
        oldest = MAX(oldest, counts.oldest_ready_ms);
    }
    json_object_set_new(stats, "oldest_ready_ms", json_integer(oldest));
    return true;
}

json_t *queue_stats(struct queue *queue, struct error *err) {
    static const char *const sets[] = {"campaigns", "finished", "dead", "leases", "workers"};
    _cleanup_json_ json_t *stats = json_object(), *totals = queue_totals(queue, err);
    bool known = totals && add_memory_stats(queue, stats, err) && add_pool_stats(queue, stats, err) &&
                 add_size(queue, "XLEN", "events", stats, err);
    for (size_t i = 0; known && i < ARRAY_LENGTH(sets); i++)
        known = add_size(queue, "ZCARD", sets[i], stats, err);
    json_object_set(stats, "totals", totals);
    return known ? steal(stats) : NULL;
}
