/* The workers that live, and those that lived. */
#include "base/memory.h"
#include "server/guard.h"
#include "server/handlers.h"
#include "server/reply.h"

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
