/* Single jobs, and the state of the farm: pools, workers, health. */
#include <string.h>

#include "base/clock.h"

#include "scale/demand.h"
#include "scale/scale.h"
#include "server/guard.h"
#include "server/reply.h"
#include "server/route.h"

enum { DEAD_USUAL = 50, DEAD_MOST = 200 };

bool job_show(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    return queue && reply_json(request, MHD_HTTP_OK, queue_job(queue, request->arguments[0], err));
}

bool job_retry(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    return queue && queue_retry(queue, request->arguments[0], err) &&
           reply_json(request, MHD_HTTP_OK, queue_job(queue, request->arguments[0], err));
}

bool dead_list(struct request *request, struct error *err) {
    _cleanup_free_ char *cursor = NULL;
    int limit;
    if (!request_page(request, DEAD_USUAL, DEAD_MOST, &cursor, &limit, err))
        return false;
    struct queue *queue = request_queue(request, err);
    return queue && reply_json(request, MHD_HTTP_OK, queue_dead(queue, cursor, limit, err));
}

static json_t *by_class(const int64_t counts[CLASS_COUNT]) {
    json_t *object = json_object();
    for (int i = 0; i < CLASS_COUNT; i++)
        json_object_set_new(object, campaign_class_name((enum campaign_class)i), json_integer(counts[i]));
    return object;
}

static json_t *pool_describe(const struct server *server, struct queue *queue, enum pool pool, struct error *err) {
    struct pool_counts counts = {0};
    if (!queue_pool_counts(queue, pool, SCALE_COOL_DOWN_MS, &counts, err))
        return NULL;
    struct scale_demand demand = scale_demand_of(&counts);
    struct scale_answer answer = scale_desired(server_rule(server, pool), &demand);
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
        json_t *pool = pool_describe(request->server, queue, (enum pool)i, err);
        if (!pool)
            return false;
        json_array_append_new(items, pool);
    }
    return reply_json(request, MHD_HTTP_OK, json_pack("{s:O}", "items", items));
}

static bool read_class(const json_t *body, enum campaign_class *class, struct error *err) {
    const char *name = json_get_string(body, "class", "batch");
    return campaign_class_parse(name, class) ||
           error_set(err, ERR_API_BAD_REQUEST, "\"class\" is \"%.50s\", not \"urgent\" or \"batch\"", name);
}

/* What a hold or resume is about: the pool of the path, the class and the end of the body, which may be empty. */
static bool read_hold(struct request *request, enum pool *pool, enum campaign_class *class, int64_t *until_ms,
                      struct error *err) {
    if (!pool_parse(request->arguments[0], pool))
        return error_set(err, ERR_API_NOT_FOUND, "there is no pool \"%.50s\"", request->arguments[0]);
    _cleanup_json_ json_t *body =
        request->body.length ? json_parse(request->body.data, request->body.length, err) : json_object();
    const char *until = json_get_string(body, "until", NULL);
    *until_ms = INT64_MAX;
    if (!body || !read_class(body, class, err))
        return false;
    return !until || clock_parse_iso(until, until_ms) ||
           error_set(err, ERR_API_BAD_REQUEST, "\"until\" is not a time such as 2026-11-08T07:00:00+05:30");
}

bool pool_hold(struct request *request, struct error *err) {
    enum pool pool;
    enum campaign_class class;
    int64_t until_ms;
    if (!read_hold(request, &pool, &class, &until_ms, err))
        return false;
    struct queue *queue = request_queue(request, err);
    return queue && queue_hold(queue, pool, class, HOLD_BY_HAND, until_ms, err) &&
           reply_json(request, MHD_HTTP_OK, pool_describe(request->server, queue, pool, err));
}

bool pool_resume(struct request *request, struct error *err) {
    enum pool pool;
    enum campaign_class class;
    int64_t until_ms;
    if (!read_hold(request, &pool, &class, &until_ms, err))
        return false;
    const struct scale_policies *policies = request->server->policies;
    struct queue *queue = request_queue(request, err);
    return queue &&
           (policies ? scale_resume(policies, queue, pool, class, clock_wall_ms(clock_system()), err)
                     : queue_hold(queue, pool, class, HOLD_BY_HAND, 0, err)) &&
           reply_json(request, MHD_HTTP_OK, pool_describe(request->server, queue, pool, err));
}

/* The counts of a pool; while Redis does not answer the last ones that it gave, if it ever did. */
static bool counts_or_last(struct request *request, enum pool pool, struct pool_counts *counts, bool *stale,
                           struct error *err) {
    struct server *server = request->server;
    struct queue *queue = request_queue(request, err);
    *stale = !queue || !queue_pool_counts(queue, pool, SCALE_COOL_DOWN_MS, counts, err);
    pthread_mutex_lock(&server->lock);
    if (!*stale) {
        server->last_counts[pool] = *counts;
        server->knows_counts[pool] = true;
    }
    *counts = server->last_counts[pool];
    bool known = server->knows_counts[pool];
    pthread_mutex_unlock(&server->lock);
    return known;
}

/* For KEDA's metrics-api trigger, and for people: what the scaler says over gRPC. */
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
                  demand_desired(server_rule(request->server, pool), &counts, wanted ? (int)class : DEMAND_ALL),
                  "stale", stale));
}

bool workers_list(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    json_t *workers = queue ? queue_workers(queue, err) : NULL;
    return workers && reply_json(request, MHD_HTTP_OK, json_pack("{s:o}", "items", workers));
}

bool workers_history(struct request *request, struct error *err) {
    _cleanup_free_ char *since = NULL;
    if (!guard_parameter(request->query, "since_ms", &since, err))
        return false;
    char *end = NULL;
    int64_t since_ms = since ? strtoll(since, &end, 10) : 0;
    if (since && (*since < '0' || *since > '9' || *end))
        return error_set(err, ERR_API_BAD_REQUEST, "since_ms must be Unix milliseconds");
    struct queue *queue = request_queue(request, err);
    json_t *workers = queue ? queue_worker_history(queue, since_ms, err) : NULL;
    return workers && reply_json(request, MHD_HTTP_OK, json_pack("{s:o}", "items", workers));
}

bool health_show(struct request *request, struct error *err) {
    return reply_json(request, MHD_HTTP_OK, json_pack("{s:s, s:s}", "status", "ok", "version", MELA_VERSION));
}

/* Asks for a key that is never written: any answer shows that the store is there. */
static bool store_answers(struct store *store, struct error *err) {
    struct store_stat stat;
    struct error cause;
    if (store_head(store, "readyz", &stat, &cause) || cause.code == ERR_STORE_NOT_FOUND)
        return true;
    *err = cause;
    return false;
}

bool ready_show(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    return queue && queue_ping(queue, err) && store_answers(request->server->store, err) &&
           reply_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", "ready"));
}
