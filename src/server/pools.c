/* The pools: what waits in each and how many workers that asks for; holds, set and ended by hand. */
#include <string.h>

#include "base/memory.h"
#include "scale/demand.h"
#include "scale/scale.h"
#include "server/guard.h"
#include "server/handlers.h"
#include "server/reading.h"
#include "server/reply.h"

enum { HOLD_VALUES_MAX = 50 }; /* it has three */

static json_t *by_class(const int64_t counts[CLASS_COUNT]) {
    json_t *object = json_object();
    for (int i = 0; i < CLASS_COUNT; i++)
        json_object_set_new(object, campaign_class_name((enum campaign_class)i), json_integer(counts[i]));
    return object;
}

static json_t *pool_describe(const struct api *api, struct queue *queue, enum pool pool, struct error *err) {
    struct pool_counts counts = {0};
    if (!queue_pool_counts(queue, pool, SCALE_COOL_DOWN_MS, &counts, err))
        return NULL;
    struct scale_demand demand = scale_demand_of(&counts);
    struct scale_answer answer = scale_desired(pool_rule(api->policies, pool), &demand);
    const int64_t workers[CLASS_COUNT] = {answer.workers[CLASS_URGENT], answer.workers[CLASS_BATCH]};
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:i, s:o, s:o}", "pool", pool_name(pool), "ready",
                     by_class(counts.ready), "leased", by_class(counts.leased), "delayed", by_class(counts.delayed),
                     "oldest_ready_ms", (json_int_t)counts.oldest_ready_ms, "desired", answer.total, "desired_by_class",
                     by_class(workers), "held_until_ms", by_class(counts.held_until_ms));
}

bool pools_list(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    if (!queue)
        return false;
    _cleanup_json_ json_t *items = json_array();
    for (int i = 0; i < POOL_COUNT; i++) {
        json_t *pool = pool_describe(request->api, queue, (enum pool)i, err);
        if (!pool)
            return false;
        json_array_append_new(items, pool);
    }
    return reply_json(request, MHD_HTTP_OK, json_pack("{s:O}", "items", items));
}

/* The text of a member that may be missing (*out stays NULL); api.bad_request for another type: it would be taken for
 * missing, and a hold would last for ever instead of until a time that was given as a number. */
static bool body_text(const json_t *body, const char *name, const char **out, struct error *err) {
    const json_t *value = json_object_get(body, name);
    *out = json_string_value(value);
    return !value || *out || error_set(err, ERR_API_BAD_REQUEST, "\"%s\" is not a text", name);
}

/* Refuses members other than "class" and, for a hold, "until". */
static bool body_check(const json_t *body, bool takes_until, struct error *err) {
    const char *name;
    json_t *value;
    if (!json_is_object(body))
        return error_set(err, ERR_API_BAD_REQUEST, "the body is not a JSON object");
    json_object_foreach ((json_t *)(uintptr_t)body, name, value)
        if (strcmp(name, "class") != 0 && !(takes_until && strcmp(name, "until") == 0))
            return error_set(err, ERR_API_BAD_REQUEST, "\"%.50s\" is not known here: the body may have \"class\"%s",
                             name, takes_until ? " and \"until\"" : "");
    return true;
}

static bool read_class(const json_t *body, enum campaign_class *class, struct error *err) {
    const char *name;
    *class = CLASS_BATCH;
    if (!body_text(body, "class", &name, err))
        return false;
    return !name || campaign_class_parse(name, class) ||
           error_set(err, ERR_API_BAD_REQUEST, "\"class\" is \"%.50s\", not \"urgent\" or \"batch\"", name);
}

/* What a hold or resume is about. */
struct hold_request {
    enum pool pool;
    enum campaign_class class;
    int64_t until_ms;
};

/* Reads the pool of the path, and the class and the end of the body, which may be empty. */
static bool hold_read(struct request *request, bool takes_until, struct hold_request *hold, struct error *err) {
    const char *until;
    if (!pool_parse(request->arguments[0], &hold->pool))
        return error_set(err, ERR_API_NOT_FOUND, "there is no pool \"%.50s\"", request->arguments[0]);
    _cleanup_json_ json_t *body = request->body.length ? request_json(request, HOLD_VALUES_MAX, err) : json_object();
    hold->until_ms = INT64_MAX;
    if (!body || !body_check(body, takes_until, err) || !read_class(body, &hold->class, err) ||
        !body_text(body, "until", &until, err))
        return false;
    return !until || clock_parse_iso(until, &hold->until_ms) ||
           error_set(err, ERR_API_BAD_REQUEST, "\"until\" is not a time such as 2026-11-08T07:00:00+05:30");
}

bool pool_hold(struct request *request, struct error *err) {
    struct hold_request hold;
    if (!hold_read(request, true, &hold, err))
        return false;
    struct queue *queue = request_queue(request, err);
    return queue && queue_hold(queue, hold.pool, hold.class, HOLD_BY_HAND, hold.until_ms, err) &&
           reply_json(request, MHD_HTTP_OK, pool_describe(request->api, queue, hold.pool, err));
}

bool pool_resume(struct request *request, struct error *err) {
    struct hold_request hold;
    if (!hold_read(request, false, &hold, err))
        return false;
    const struct scale_policies *policies = request->api->policies;
    struct queue *queue = request_queue(request, err);
    return queue &&
           (policies ? scale_resume(policies, queue, hold.pool, hold.class, clock_wall_ms(request->api->clock), err)
                     : queue_hold(queue, hold.pool, hold.class, HOLD_BY_HAND, 0, err)) &&
           reply_json(request, MHD_HTTP_OK, pool_describe(request->api, queue, hold.pool, err));
}

/* The counts of a pool, or the last known ones while Redis does not answer, so that a scaler does not see an empty
 * queue. False with *err when there are none. */
static bool counts_or_last(struct request *request, enum pool pool, struct pool_counts *counts, bool *stale,
                           struct error *err) {
    struct queue *queue = request_queue(request, err);
    *stale = !queue || !queue_pool_counts(queue, pool, SCALE_COOL_DOWN_MS, counts, err);
    if (*stale)
        return last_counts_get(request->api->last_counts, pool, counts);
    last_counts_put(request->api->last_counts, pool, counts);
    return true;
}

/* For KEDA's metrics-api trigger, and for people: the same number as the scaler's over gRPC. */
bool pool_desired(struct request *request, struct error *err) {
    enum pool pool;
    enum campaign_class class;
    struct pool_counts counts;
    bool stale;
    _cleanup_free_ char *wanted = NULL;
    if (!pool_parse(request->arguments[0], &pool))
        return error_set(err, ERR_API_NOT_FOUND, "there is no pool \"%s\"; see /v1/pools", request->arguments[0]);
    if (!guard_parameter(request->query, "class", &wanted, err))
        return false;
    if (wanted && !campaign_class_parse(wanted, &class))
        return error_set(err, ERR_API_BAD_REQUEST, "\"%s\" is no class: ask for urgent, batch or neither", wanted);
    if (!counts_or_last(request, pool, &counts, &stale, err))
        return false;
    return reply_json(
        request, MHD_HTTP_OK,
        json_pack("{s:s, s:s?, s:i, s:b}", "pool", pool_name(pool), "class", wanted, "desired",
                  demand_desired(pool_rule(request->api->policies, pool), &counts, wanted ? (int)class : DEMAND_ALL),
                  "stale", stale));
}
