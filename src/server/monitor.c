/* What watches the server asks: is it alive, is it ready, and the metrics. It needs no key, so what it reads of Redis
 * and the store is kept for a second: whoever asks in a loop cannot keep those two busy. */
#include "server/monitor.h"

#include "base/exposition.h"
#include "base/memory.h"
#include "server/handlers.h"
#include "server/kept.h"
#include "server/metrics.h"
#include "server/reply.h"

struct monitor {
    struct kept farm;
    struct buffer farm_rows; /* guarded by `farm`, as the next two by `ready` */
    struct kept ready;
    bool is_ready;
    struct error unready; /* why it is not */
};

struct monitor *monitor_new(void) {
    struct monitor *monitor = xnew(struct monitor);
    kept_init(&monitor->farm);
    kept_init(&monitor->ready);
    return monitor;
}

void monitor_free(struct monitor *monitor) {
    kept_clear(&monitor->farm);
    kept_clear(&monitor->ready);
    buffer_free(&monitor->farm_rows);
    free(monitor);
}

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

static bool ready_read(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    return queue && queue_ping(queue, err) && store_answers(request->api->store, err);
}

bool ready_show(struct request *request, struct error *err) {
    struct monitor *monitor = request->api->monitor;
    bool is_old = kept_lock(&monitor->ready, request->api->clock);
    if (is_old)
        monitor->is_ready = ready_read(request, &monitor->unready);
    bool is_ready = monitor->is_ready;
    if (!is_ready)
        *err = monitor->unready;
    kept_unlock(&monitor->ready, request->api->clock, is_old);
    return is_ready && reply_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", "ready"));
}

static void farm_read(struct request *request, struct buffer *rows) {
    _cleanup_reading_ struct reading reading = {0};
    struct error away; /* not the answer: mela_queue_up is 0 then, and the process' own numbers stay visible */
    struct queue *queue = request_queue(request, &away);
    bool up = queue && reading_fetch(queue, request->api->policies, &reading, &away);
    buffer_clear(rows);
    metric_one(rows, "mela_queue_up", "gauge", "1 when Redis answers, else 0 and nothing about the farm below.", up);
    if (up)
        metrics_write_farm(rows, &reading);
}

static void farm_write(struct request *request, struct buffer *out) {
    struct monitor *monitor = request->api->monitor;
    bool is_old = kept_lock(&monitor->farm, request->api->clock);
    if (is_old)
        farm_read(request, &monitor->farm_rows);
    buffer_append(out, monitor->farm_rows.data, monitor->farm_rows.length);
    kept_unlock(&monitor->farm, request->api->clock, is_old);
}

bool metrics_show(struct request *request, struct error *err) {
    struct api *api = request->api;
    _cleanup_buffer_ struct buffer text = {0};
    farm_write(request, &text);
    metric_process(&text);
    metric_one(&text, "mela_event_streams", "gauge", "Event streams open now.", atomic_load(&api->streams));
    metric_one(&text, "mela_uploads", "gauge", "Uploads being received now.", atomic_load(&api->uploads));
    store_metrics(api->store, &text);
    traffic_write(api->traffic, &text);
    return reply_text(request, MHD_HTTP_OK, EXPOSITION_MEDIA_TYPE, &text);
}
