/* The functions of queue.h that only read, and how replies become JSON. */
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "queue/internal.h"

/* ---- replies to JSON ---- */

/* The value of a field in a reply {name, value, ...}; NULL when it is not there. Borrowed. */
static const char *record_field(const redisReply *record, const char *name) {
    for (size_t i = 0; i + 1 < record->elements; i += 2)
        if (strcmp(record->element[i]->str, name) == 0)
            return record->element[i + 1]->str;
    return NULL;
}

static int64_t parse_number(const char *text) { return text ? strtoll(text, NULL, 10) : 0; }

static void set_text(json_t *object, const char *name, const char *value) {
    json_object_set_new(object, name, value ? json_string(value) : json_null());
}

static void set_number(json_t *object, const char *name, const char *value) {
    json_object_set_new(object, name, value ? json_integer(parse_number(value)) : json_null());
}

/* JSON that mela itself wrote; null for a missing one. */
static json_t *stored_json(const redisReply *reply) {
    struct error ignored;
    json_t *value =
        reply->type == REDIS_REPLY_STRING && reply->len ? json_parse(reply->str, reply->len, &ignored) : NULL;
    return value ? value : json_null();
}

static json_t *text_or_null(const redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING ? json_string(reply->str) : json_null();
}

/* {"items": items, "next": cursor or null}; takes both references. */
static json_t *page_json(json_t *items, json_t *next) { return json_pack("{s:o, s:o}", "items", items, "next", next); }

/* ---- jobs ---- */

/* From view_jobs: {record, report, artifact, error, progress}. */
static json_t *job_json(const char *id, const redisReply *view) {
    const redisReply *record = view->element[0];
    struct job_id parsed;
    if (!record->elements || !job_id_parse(id, &parsed))
        return NULL;
    json_t *job = json_pack("{s:s, s:s, s:s, s:s, s:i}", "id", id, "campaign", parsed.campaign, "kind",
                            job_kind_name(parsed.kind), "language", parsed.language, "index", parsed.index);
    set_text(job, "state", record_field(record, "state"));
    json_object_set_new(job, "attempt", json_integer(parse_number(record_field(record, "attempt"))));
    set_text(job, "worker", record_field(record, "worker"));
    const char *ready = record_field(record, "ready"), *created = record_field(record, "created");
    set_number(job, "created_ms", created);
    /* A job that never waited is ready since it was created, and has no field for it (lib/job.lua). */
    bool waits = parse_number(record_field(record, "waits")) > 0;
    set_number(job, "ready_ms", ready || waits ? ready : created);
    set_number(job, "claimed_ms", record_field(record, "claimed"));
    set_number(job, "finished_ms", record_field(record, "finished"));
    if (record_field(record, "affinity"))
        set_text(job, "affinity", record_field(record, "affinity"));
    json_object_set_new(job, "report", stored_json(view->element[1]));
    json_object_set_new(job, "artifact", text_or_null(view->element[2]));
    json_object_set_new(job, "error", stored_json(view->element[3]));
    json_object_set_new(job, "progress", stored_json(view->element[4]));
    json_object_set_new(job, "errors", json_integer(parse_number(record_field(record, "errors"))));
    json_object_set_new(job, "refusals", json_integer(parse_number(record_field(record, "refusals"))));
    json_object_set_new(job, "crashes", json_integer(parse_number(record_field(record, "crashes"))));
    return job;
}

/* The jobs of these ids as an array; one that has been removed meanwhile is left out. */
static json_t *jobs_json(struct queue *queue, const char *const *ids, size_t count, struct error *err) {
    _cleanup_json_ json_t *jobs = json_array();
    _cleanup_command_ struct command arguments = {0};
    for (size_t i = 0; i < count; i++)
        command_add(&arguments, ids[i]);
    _cleanup_reply_ redisReply *reply = count ? queue_script(queue, &script_view_jobs, &arguments, true, err) : NULL;
    if (count && !reply)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        json_t *job = job_json(ids[i], reply->element[i]);
        if (job)
            json_array_append_new(jobs, job);
    }
    return steal(jobs);
}

json_t *queue_job(struct queue *queue, const char *job_id, struct error *err) {
    struct job_id parsed;
    if (!job_id_check(job_id, &parsed, err))
        return NULL;
    _cleanup_json_ json_t *jobs = jobs_json(queue, &job_id, 1, err);
    if (jobs && json_array_size(jobs) == 0)
        error_set(err, ERR_QUEUE_NOT_FOUND, "there is no job %s", job_id);
    return jobs ? json_incref(json_array_get(jobs, 0)) : NULL;
}

json_t *queue_jobs(struct queue *queue, const char *campaign, const char *cursor, int limit, struct error *err) {
    if (!campaign_id_check(campaign, err))
        return NULL;
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, campaign);
    command_add_integer(&arguments, limit);
    command_add(&arguments, cursor ? cursor : "");
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_list_jobs, &arguments, true, err);
    if (reply && reply->type == REDIS_REPLY_NIL)
        error_set(err, ERR_QUEUE_NOT_FOUND, "there is no campaign %s", campaign);
    if (!reply || reply->type == REDIS_REPLY_NIL)
        return NULL;
    size_t count = reply->elements;
    char(*text)[JOB_ID_MAX + 1] _cleanup_free_ = xcalloc(count + 1, sizeof *text);
    _cleanup_free_ const char **ids = xnew_array(const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        snprintf(text[i], sizeof text[i], "%s/%s", campaign, reply->element[i]->str);
        ids[i] = text[i];
    }
    json_t *jobs = jobs_json(queue, ids, count, err);
    bool full = limit > 0 && count == (size_t)limit;
    return jobs ? page_json(jobs, full ? json_string(reply->element[count - 1]->str) : json_null()) : NULL;
}

/* "<score>/<member>", as newest_cursor makes it. A page that began anew for any other text would be a list without end.
 */
static bool newest_cursor_check(const char *cursor, struct error *err) {
    size_t digits = strspn(cursor, "0123456789");
    return (digits > 0 && cursor[digits] == '/' && cursor[digits + 1]) ||
           error_set(err, ERR_API_BAD_REQUEST, "the cursor is not one that a page's \"next\" gave");
}

/* A page of the sets `campaigns` or `dead`, the latest first: {member, score, ...}. */
static redisReply *newest_members(struct queue *queue, const char *set, const char *cursor, int limit,
                                  struct error *err) {
    if (cursor && !newest_cursor_check(cursor, err))
        return NULL;
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, set);
    command_add_integer(&arguments, limit);
    command_add(&arguments, cursor ? cursor : "");
    return queue_script(queue, &script_list_newest, &arguments, true, err);
}

/* "<score>/<member>" of the last one when the page is full; else null. */
static json_t *newest_cursor(const redisReply *members, int limit) {
    size_t last = members->elements;
    if (limit < 1 || last / 2 < (size_t)limit)
        return json_null();
    return json_sprintf("%s/%s", members->element[last - 1]->str, members->element[last - 2]->str);
}

json_t *queue_dead(struct queue *queue, const char *cursor, int limit, struct error *err) {
    _cleanup_reply_ redisReply *reply = newest_members(queue, "dead", cursor, limit, err);
    if (!reply)
        return NULL;
    _cleanup_free_ const char **ids = xnew_array(const char *, reply->elements / 2 + 1);
    for (size_t i = 0; i < reply->elements / 2; i++)
        ids[i] = reply->element[2 * i]->str;
    json_t *jobs = jobs_json(queue, ids, reply->elements / 2, err);
    return jobs ? page_json(jobs, newest_cursor(reply, limit)) : NULL;
}

json_t *queue_artifacts(struct queue *queue, const char *const *job_ids, size_t count, struct error *err) {
    _cleanup_json_ json_t *artifacts = json_array();
    if (count == 0)
        return steal(artifacts);
    struct job_id first, id;
    if (!job_id_check(job_ids[0], &first, err))
        return NULL;
    _cleanup_free_ char *key = xasprintf("%scampaign:%s:results", queue->prefix, first.campaign);
    _cleanup_command_ struct command command = {0};
    command_add(&command, "HMGET");
    command_add(&command, key);
    for (size_t i = 0; i < count; i++) {
        if (!job_id_check(job_ids[i], &id, err))
            return NULL;
        if (strcmp(id.campaign, first.campaign) != 0) {
            error_set(err, ERR_INTERNAL, "%s and %s are not of one campaign", job_ids[0], job_ids[i]);
            return NULL;
        }
        _cleanup_free_ char *field = xasprintf("%s:artifact", job_id_suffix(job_ids[i]));
        command_add(&command, field);
    }
    _cleanup_reply_ redisReply *reply = redis_run(queue->redis, &command, true, 0, err);
    for (size_t i = 0; reply && i < reply->elements; i++)
        json_array_append_new(artifacts, text_or_null(reply->element[i]));
    return reply ? steal(artifacts) : NULL;
}

/* ---- campaigns ---- */

/* A language that has not ended by itself is as its campaign: cancelled or failed with it, else running. */
static const char *language_state(const redisReply *record, const char *language) {
    _cleanup_free_ char *name = xasprintf("lang:%s", language);
    const char *own = record_field(record, name), *state = record_field(record, "state");
    if (own)
        return own;
    return strcmp(state, "cancelled") == 0 || strcmp(state, "failed") == 0 ? state : "running";
}

/* From lib/counts.lua. */
static json_t *job_counts(const redisReply *numbers) {
    json_t *jobs = json_object();
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        json_object_set_new(jobs, job_state_name((enum job_state)state),
                            json_integer(numbers->element[state]->integer));
    return jobs;
}

/* From view_campaigns: the record, and {language, job, error, ...} of those that ended badly. */
static json_t *languages_json(const redisReply *record, const redisReply *ends) {
    json_t *languages = json_array();
    _cleanup_free_ char *names = xstrdup(record_field(record, "languages"));
    char *rest = names;
    for (char *language; names[0] && (language = strsep(&rest, " "));) {
        json_t *item = json_pack("{s:s, s:s, s:n, s:n}", "language", language, "state",
                                 language_state(record, language), "error", "job");
        for (size_t i = 0; i + 2 < ends->elements; i += 3) {
            if (strcmp(ends->element[i]->str, language) != 0 ||
                strcmp(json_get_string(item, "state", ""), "failed") != 0)
                continue;
            json_object_set_new(item, "error", stored_json(ends->element[i + 2]));
            json_object_set_new(item, "job", json_string(ends->element[i + 1]->str));
        }
        json_array_append_new(languages, item);
    }
    return languages;
}

static json_t *campaign_json(const char *id, const redisReply *view) {
    const redisReply *record = view->element[0];
    if (!record_field(record, "state") || !record_field(record, "languages"))
        return NULL;
    json_t *campaign = json_pack("{s:s}", "id", id);
    set_text(campaign, "name", record_field(record, "name"));
    const char *workload = record_field(record, "workload"); /* an older release wrote none, and knew dubs only */
    set_text(campaign, "workload", workload ? workload : workload_name(WORKLOAD_DUBS));
    set_text(campaign, "class", record_field(record, "class"));
    set_text(campaign, "state", record_field(record, "state"));
    set_text(campaign, "spec_sha256", record_field(record, "spec"));
    set_number(campaign, "submitted_ms", record_field(record, "submitted"));
    set_number(campaign, "finished_ms", record_field(record, "finished"));
    const char *deadline = record_field(record, "deadline");
    set_number(campaign, "deadline_ms", parse_number(deadline) ? deadline : NULL);
    int64_t held_until_ms = view->element[3]->integer;
    json_object_set_new(campaign, "held_until_ms", held_until_ms ? json_integer(held_until_ms) : json_null());
    json_object_set_new(campaign, "jobs", job_counts(view->element[2]));
    json_object_set_new(campaign, "languages", languages_json(record, view->element[1]));
    int64_t pictures = parse_number(record_field(record, "pictures"));
    if (pictures)
        json_object_set_new(campaign, "pictures",
                            json_pack("{s:I, s:I}", "of", (json_int_t)pictures, "done",
                                      (json_int_t)parse_number(record_field(record, "drawn"))));
    return campaign;
}

static json_t *campaigns_json(struct queue *queue, const char *const *ids, size_t count, struct error *err) {
    _cleanup_json_ json_t *campaigns = json_array();
    _cleanup_command_ struct command arguments = {0};
    queue_add_pools(&arguments);
    for (size_t i = 0; i < count; i++)
        command_add(&arguments, ids[i]);
    _cleanup_reply_ redisReply *reply =
        count ? queue_script(queue, &script_view_campaigns, &arguments, true, err) : NULL;
    if (count && !reply)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        json_t *campaign = campaign_json(ids[i], reply->element[i]);
        if (campaign)
            json_array_append_new(campaigns, campaign);
    }
    return steal(campaigns);
}

json_t *queue_campaign(struct queue *queue, const char *campaign, struct error *err) {
    if (!campaign_id_check(campaign, err))
        return NULL;
    _cleanup_json_ json_t *found = campaigns_json(queue, &campaign, 1, err);
    if (found && json_array_size(found) == 0)
        error_set(err, ERR_QUEUE_NOT_FOUND, "there is no campaign %s", campaign);
    return found ? json_incref(json_array_get(found, 0)) : NULL;
}

json_t *queue_campaigns(struct queue *queue, const char *cursor, int limit, struct error *err) {
    _cleanup_reply_ redisReply *reply = newest_members(queue, "campaigns", cursor, limit, err);
    if (!reply)
        return NULL;
    _cleanup_free_ const char **ids = xnew_array(const char *, reply->elements / 2 + 1);
    for (size_t i = 0; i < reply->elements / 2; i++)
        ids[i] = reply->element[2 * i]->str;
    json_t *campaigns = campaigns_json(queue, ids, reply->elements / 2, err);
    return campaigns ? page_json(campaigns, newest_cursor(reply, limit)) : NULL;
}

/* ---- events ---- */

static json_t *event_json(const redisReply *entry) {
    const redisReply *fields = entry->element[1];
    return json_pack("{s:s, s:s, s:o}", "id", entry->element[0]->str, "type", fields->element[0]->str, "data",
                     stored_json(fields->element[1]));
}

json_t *queue_events(struct queue *queue, const char *campaign, const char *last_id, int wait_ms, int limit,
                     struct error *err) {
    if (campaign && !campaign_id_check(campaign, err))
        return NULL;
    _cleanup_free_ char *key =
        campaign ? xasprintf("%scampaign:%s:events", queue->prefix, campaign) : xasprintf("%sevents", queue->prefix);
    _cleanup_command_ struct command command = {0};
    command_add(&command, "XREAD");
    command_add(&command, "COUNT");
    command_add_integer(&command, limit);
    if (wait_ms > 0) {
        command_add(&command, "BLOCK");
        command_add_integer(&command, wait_ms);
    }
    command_add(&command, "STREAMS");
    command_add(&command, key);
    command_add(&command, last_id);
    _cleanup_reply_ redisReply *reply = redis_run(queue->redis, &command, true, wait_ms, err);
    if (!reply)
        return NULL;
    json_t *events = json_array();
    if (reply->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < reply->element[0]->element[1]->elements; i++)
            json_array_append_new(events, event_json(reply->element[0]->element[1]->element[i]));
    return events;
}

/* ---- workers, pools, totals, Redis ---- */

json_t *queue_workers(struct queue *queue, struct error *err) {
    _cleanup_command_ struct command none = {0};
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_workers, &none, true, err);
    if (!reply)
        return NULL;
    json_t *workers = json_array();
    for (size_t i = 0; i + 2 < reply->elements; i += 3) {
        json_t *worker = json_pack("{s:s, s:I}", "id", reply->element[i]->str, "seen_ms",
                                   (json_int_t)parse_number(reply->element[i + 1]->str));
        _cleanup_json_ json_t *info = stored_json(reply->element[i + 2]);
        json_object_update_missing(worker, info);
        json_array_append_new(workers, worker);
    }
    return workers;
}

/* Adds an entry of the history: a worker that came, or the end of one. `open`: of each that lives, its index in
 * `workers`. */
static void add_history(json_t *workers, json_t *open, const redisReply *entry) {
    const redisReply *fields = entry->element[1];
    const char *id = record_field(fields, "worker"), *what = record_field(fields, "what");
    json_int_t at = parse_number(record_field(fields, "at"));
    const json_t *place = json_object_get(open, id);
    json_t *known = place ? json_array_get(workers, (size_t)json_integer_value(place)) : NULL;
    if (strcmp(what, "came") == 0) {
        json_object_set_new(open, id, json_integer((json_int_t)json_array_size(workers)));
        json_array_append_new(workers,
                              json_pack("{s:s, s:I, s:n, s:b}", "id", id, "came_ms", at, "gone_ms", "lost", 0));
    } else if (known) { /* else it came before the history begins */
        json_object_set_new(known, "gone_ms", json_integer(at));
        json_object_set_new(known, "lost", json_boolean(strcmp(what, "lost") == 0));
        json_object_del(open, id);
    }
}

json_t *queue_worker_history(struct queue *queue, int64_t since_ms, struct error *err) {
    _cleanup_json_ json_t *living = queue_workers(queue, err), *all = json_array(), *open = json_object();
    _cleanup_free_ char *key = xasprintf("%sworkers:history", queue->prefix);
    _cleanup_command_ struct command command = {0};
    command_add(&command, "XRANGE");
    command_add(&command, key);
    command_add(&command, "-");
    command_add(&command, "+");
    _cleanup_reply_ redisReply *reply = living ? redis_run(queue->redis, &command, true, 0, err) : NULL;
    if (!reply)
        return NULL;
    for (size_t i = 0; i < reply->elements; i++)
        add_history(all, open, reply->element[i]);
    json_t *late = json_array(), *worker;
    size_t i;
    json_array_foreach (all, i, worker)
        if (json_get_integer(worker, "gone_ms", INT64_MAX) > since_ms)
            json_array_append(late, worker);
    return late;
}

bool queue_pool_counts(struct queue *queue, enum pool pool, int64_t due_within_ms, struct pool_counts *out,
                       struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    command_add(&arguments, pool_name(pool));
    command_add_integer(&arguments, due_within_ms);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_pool, &arguments, true, err);
    if (!reply)
        return false;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        out->ready[class] = reply->element[3 * class]->integer;
        out->leased[class] = reply->element[3 * class + 1]->integer;
        out->delayed[class] = reply->element[3 * class + 2]->integer;
    }
    out->oldest_ready_ms = reply->element[3 * CLASS_COUNT]->integer;
    for (int class = 0; class < CLASS_COUNT; class ++)
        out->held_until_ms[class] = reply->element[3 * CLASS_COUNT + 1 + class]->integer;
    return true;
}

/* "step_ms:lips" becomes a member of the object "step_ms". */
static void set_total(json_t *totals, char *name, json_t *value) {
    char *inner = strchr(name, ':');
    if (!inner) {
        json_object_set_new(totals, name, value);
        return;
    }
    *inner++ = '\0';
    if (!json_object_get(totals, name))
        json_object_set_new(totals, name, json_object());
    json_object_set_new(json_object_get(totals, name), inner, value);
}

json_t *queue_totals(struct queue *queue, struct error *err) {
    _cleanup_command_ struct command none = {0};
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_view_totals, &none, true, err);
    if (!reply)
        return NULL;
    json_t *totals = json_object();
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        set_total(totals, reply->element[i]->str, json_integer(parse_number(reply->element[i + 1]->str)));
    return totals;
}

json_t *queue_overview(struct queue *queue, int most, struct error *err) {
    _cleanup_command_ struct command arguments = {0};
    command_add_integer(&arguments, most);
    queue_add_pools(&arguments);
    _cleanup_reply_ redisReply *reply = queue_script(queue, &script_overview, &arguments, true, err);
    if (!reply)
        return NULL;
    json_t *campaigns = json_array();
    for (size_t i = 2; i < reply->elements; i++) {
        redisReply *const *campaign = reply->element[i]->element;
        json_array_append_new(campaigns, json_pack("{s:s, s:o, s:o}", "id", campaign[0]->str, "name",
                                                   text_or_null(campaign[1]), "jobs", job_counts(campaign[2])));
    }
    return json_pack("{s:I, s:I, s:o}", "dead", (json_int_t)reply->element[0]->integer, "open",
                     (json_int_t)reply->element[1]->integer, "campaigns", campaigns);
}

/* The text of a line "name:value" of INFO; "" when it is not there. */
static const char *info_value(const char *info, const char *name) {
    _cleanup_free_ char *start = xasprintf("\n%s:", name);
    const char *line = strstr(info, start);
    return line ? line + strlen(start) : "";
}

static bool info_is_ok(const char *info, const char *name) {
    const char *value = info_value(info, name);
    return !value[0] || strncmp(value, "ok", 2) == 0;
}

bool queue_redis_state(struct queue *queue, struct redis_state *out, struct error *err) {
    _cleanup_command_ struct command command = {0};
    command_add(&command, "INFO");
    _cleanup_reply_ redisReply *reply = redis_run(queue->redis, &command, true, 0, err);
    if (!reply)
        return false;
    const char *info = reply->str;
    *out = (struct redis_state){
        .memory_bytes = parse_number(info_value(info, "used_memory")),
        .memory_limit_bytes = parse_number(info_value(info, "maxmemory")),
        .clients = parse_number(info_value(info, "connected_clients")),
        .commands = parse_number(info_value(info, "total_commands_processed")),
        .persists = info_is_ok(info, "aof_last_write_status") && info_is_ok(info, "aof_last_bgrewrite_status") &&
                    info_is_ok(info, "rdb_last_bgsave_status"),
    };
    return true;
}
