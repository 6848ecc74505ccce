/* Single jobs, and the state of the farm: pools, workers, health. */
#include <string.h>

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

static json_t *by_class(const int64_t counts[CLASS_COUNT], int64_t *total) {
    json_t *object = json_object();
    for (int i = 0; i < CLASS_COUNT; i++) {
        json_object_set_new(object, campaign_class_name((enum campaign_class)i), json_integer(counts[i]));
        *total += counts[i];
    }
    return object;
}

static json_t *pool_describe(struct queue *queue, enum pool pool, struct error *err) {
    struct pool_counts counts = {0};
    struct scale_demand demand = {0};
    if (!queue_pool_counts(queue, pool, SCALE_COOL_DOWN_MS, &counts, err))
        return NULL;
    json_t *ready = by_class(counts.ready, &demand.ready), *leased = by_class(counts.leased, &demand.leased),
           *delayed = by_class(counts.delayed, &demand.delayed);
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:i}", "pool", pool_name(pool), "ready", ready, "leased", leased,
                     "delayed", delayed, "oldest_ready_ms", (json_int_t)counts.oldest_ready_ms, "desired",
                     scale_desired(&demand, SCALE_CAP));
}

bool pools_list(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    if (!queue)
        return false;
    _cleanup_json_ json_t *items = json_array();
    for (int i = 0; i < POOL_COUNT; i++) {
        json_t *pool = pool_describe(queue, (enum pool)i, err);
        if (!pool)
            return false;
        json_array_append_new(items, pool);
    }
    return reply_json(request, MHD_HTTP_OK, json_pack("{s:O}", "items", items));
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
    return reply_json(request, MHD_HTTP_OK,
                      json_pack("{s:s, s:s?, s:i, s:b}", "pool", pool_name(pool), "class", wanted, "desired",
                                demand_desired(&counts, wanted ? (int)class : DEMAND_ALL), "stale", stale));
}

bool workers_list(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    json_t *workers = queue ? queue_workers(queue, err) : NULL;
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
