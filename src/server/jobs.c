/* Single jobs: shows one, retries one, lists those that were given up. */
#include "base/memory.h"
#include "server/handlers.h"
#include "server/reply.h"

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
