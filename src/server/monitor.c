/* What watches the server asks: is it alive, is it ready, and the metrics. */
#include "base/exposition.h"
#include "server/handlers.h"
#include "server/metrics.h"
#include "server/reply.h"

bool health_show(struct request *request, struct error *err) {
    return reply_json(request, MHD_HTTP_OK, json_pack("{s:s, s:s}", "status", "ok", "version", MELA_VERSION));
}

/* Requests a key that is never written: that it is not found shows that the store answers. */
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
    return queue && queue_ping(queue, err) && store_answers(request->api->store, err) &&
           reply_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", "ready"));
}

bool metrics_show(struct request *request, struct error *err) {
    struct api *api = request->api;
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_reading_ struct reading reading = {0};
    struct error away; /* not the answer: mela_queue_up is 0 then, and the process' own numbers stay visible */
    struct queue *queue = request_queue(request, &away);
    bool up = queue && reading_fetch(queue, api->policies, &reading, &away);
    metric_one(&text, "mela_queue_up", "gauge", "1 when Redis answers, else 0 and nothing about the farm below.", up);
    if (up)
        metrics_write_farm(&text, &reading);
    metric_process(&text);
    metric_one(&text, "mela_event_streams", "gauge", "Event streams open now.", atomic_load(&api->streams));
    metric_one(&text, "mela_uploads", "gauge", "Uploads being received now.", atomic_load(&api->uploads));
    store_metrics(api->store, &text);
    traffic_write(api->traffic, &text);
    return reply_text(request, MHD_HTTP_OK, EXPOSITION_MEDIA_TYPE, &text);
}
