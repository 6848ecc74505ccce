/* GET /v1/campaigns/{id}/events: server-sent events. A stream holds one connection to Redis and one thread,
 * the connection's own, which libmicrohttpd calls stream_send on: nothing of a stream is shared. */
#include <ctype.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "server/guard.h"
#include "server/handlers.h"
#include "server/reply.h"

enum {
    STREAMS_MAX = 256,
    EVENTS_A_READ = 100,
    HEARTBEAT_MS = 15000,
    SLICE_MS = 1000, /* how late a stream may notice that the client left or the server stops */
    BLOCK_BYTES = 4096,
};

struct stream {
    struct api *api;
    struct queue *queue;
    char *campaign;
    char last[EVENT_ID_MAX + 1]; /* id of the last event read */
    struct buffer pending;       /* text to be sent, `sent` bytes of it are */
    size_t sent;
    int descriptor; /* the client's socket */
    int64_t heartbeat_ms, next_heartbeat_ms;
    bool check_end, over; /* check_end: the campaign may have ended */
};

static bool campaign_ended(const json_t *campaign) {
    return strcmp(json_get_string(campaign, "state", ""), "running") != 0;
}

static bool client_left(const struct stream *stream) {
    struct pollfd poll_client = {.fd = stream->descriptor, .events = POLLRDHUP};
    return poll(&poll_client, 1, 0) > 0 && (poll_client.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void stream_append(struct stream *stream, const json_t *event) {
    const char *id = json_get_string(event, "id", ""), *type = json_get_string(event, "type", "message");
    _cleanup_free_ char *data = json_line(json_object_get(event, "data"));
    buffer_appendf(&stream->pending, "id: %s\nevent: %s\ndata: %s\n\n", id, type, data);
    snprintf(stream->last, sizeof stream->last, "%s", id);
    stream->check_end = stream->check_end || strcmp(type, "campaign") == 0;
}

static void stream_append_all(struct stream *stream, const json_t *events) {
    const json_t *event;
    size_t i;
    json_array_foreach (events, i, event)
        stream_append(stream, event);
}

/* Reads what is new, waiting for at most `wait_ms`. False when Redis is away. */
static bool stream_read(struct stream *stream, int64_t wait_ms) {
    struct error err;
    _cleanup_json_ json_t *events =
        queue_events(stream->queue, stream->campaign, stream->last, (int)wait_ms, EVENTS_A_READ, &err);
    stream_append_all(stream, events);
    return events != NULL;
}

/* A stream is over when its campaign has ended and all was sent. Events may have come between the last read and the
 * end, so there is one more read after the end was seen. False when Redis is away. */
static bool stream_check_end(struct stream *stream) {
    struct error err;
    _cleanup_json_ json_t *campaign = queue_campaign(stream->queue, stream->campaign, &err);
    if (!campaign && err.code != ERR_QUEUE_NOT_FOUND)
        return false;
    bool ended = !campaign || campaign_ended(campaign);
    if (ended && !stream_read(stream, 0))
        return false;
    stream->over = ended && stream->pending.length == 0;
    stream->check_end = ended && !stream->over;
    return true;
}

/* Appends what is to be sent, or returns after a slice without. While Redis is away the stream stays open, and
 * continues later. */
static void stream_fill(struct stream *stream) {
    bool there = stream_read(stream, stream->check_end ? 0 : MIN(stream->heartbeat_ms, (int64_t)SLICE_MS));
    if (there && stream->pending.length == 0 && stream->check_end)
        there = stream_check_end(stream);
    if (!there)
        (void)lifetime_sleep(stream->api->lifetime, SLICE_MS);
    int64_t now_ms = clock_monotonic_ms(stream->api->clock);
    if (now_ms < stream->next_heartbeat_ms)
        return;
    buffer_append_text(&stream->pending, ": heartbeat\n\n");
    stream->next_heartbeat_ms = now_ms + stream->heartbeat_ms;
    stream->check_end = true;
}

static ssize_t stream_send(void *context, uint64_t position, char *out, size_t capacity) {
    struct stream *stream = context;
    while (stream->sent == stream->pending.length) {
        buffer_clear(&stream->pending);
        stream->sent = 0;
        if (stream->over || lifetime_is_over(stream->api->lifetime) || client_left(stream))
            return MHD_CONTENT_READER_END_OF_STREAM;
        stream_fill(stream);
    }
    size_t length = MIN(stream->pending.length - stream->sent, capacity);
    memcpy(out, stream->pending.data + stream->sent, length);
    stream->sent += length;
    return (ssize_t)length;
}

static void event_stream_free(void *context) {
    struct stream *stream = context;
    connections_return(stream->api->connections, stream->queue);
    atomic_fetch_sub(&stream->api->streams, 1);
    buffer_free(&stream->pending);
    free(stream->campaign);
    free(stream);
}

/* "1699-0" or "1699", of numbers that surely fit into 64 bits. */
static bool event_id_is_valid(const char *id) {
    enum { DIGITS_MAX = 19 };
    size_t digits = strspn(id, "0123456789"), more = id[digits] == '-' ? strspn(id + digits + 1, "0123456789") : 0;
    return digits > 0 && digits <= DIGITS_MAX && more <= DIGITS_MAX && id[digits + (more ? more + 1 : 0)] == '\0';
}

/* Where to continue: Last-Event-ID, else ?after=, else from the first event that is kept. An EventSource that was
 * opened with ?after= sends both when it connects again, and the header is the newer one. */
static bool stream_position(const struct request *request, char last[EVENT_ID_MAX + 1], struct error *err) {
    _cleanup_free_ char *after = NULL;
    if (!guard_parameter(request->query, "after", &after, err))
        return false;
    const char *header = request_header(request, "Last-Event-ID"), *id = header ? header : after ? after : "0";
    if (!event_id_is_valid(id))
        return error_set(err, ERR_API_BAD_REQUEST, "after and Last-Event-ID take the id of an event, such as 1699-0");
    snprintf(last, EVENT_ID_MAX + 1, "%s", id);
    return true;
}

static struct stream *stream_new(struct request *request, const char *last) {
    struct stream *stream = xnew(struct stream);
    stream->api = request->api;
    stream->queue = steal(request->queue);
    stream->campaign = xstrdup(request->arguments[0]);
    memcpy(stream->last, last, sizeof stream->last);
    stream->descriptor = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    stream->heartbeat_ms = MIN(request->api->idle_timeout_s * 500, HEARTBEAT_MS);
    stream->next_heartbeat_ms = clock_monotonic_ms(stream->api->clock) + stream->heartbeat_ms;
    stream->check_end = true;
    buffer_append_text(&stream->pending, "retry: 2000\n\n");
    return stream;
}

static bool stream_start(struct request *request, const char *last, struct error *err) {
    if (atomic_fetch_add(&request->api->streams, 1) >= STREAMS_MAX) {
        atomic_fetch_sub(&request->api->streams, 1);
        return error_set(err, ERR_API_BUSY, "the server holds %d event streams already; try again later", STREAMS_MAX);
    }
    struct stream *stream = stream_new(request, last);
    reply_response(
        request, MHD_HTTP_OK,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_send, stream, event_stream_free));
    reply_header(request, "Content-Type", "text/event-stream");
    reply_header(request, "Cache-Control", "no-store");
    reply_header(request, "X-Accel-Buffering", "no"); /* proxies of the nginx kind must not collect events */
    return true;
}

bool campaign_events(struct request *request, struct error *err) {
    char last[EVENT_ID_MAX + 1];
    struct queue *queue = stream_position(request, last, err) ? request_queue(request, err) : NULL;
    _cleanup_json_ json_t *campaign = queue ? queue_campaign(queue, request->arguments[0], err) : NULL;
    if (!campaign)
        return false;
    if (!campaign_ended(campaign))
        return stream_start(request, last, err);
    _cleanup_json_ json_t *events = queue_events(queue, request->arguments[0], last, 0, 1, err);
    if (!events)
        return false;
    if (json_array_size(events) > 0)
        return stream_start(request, last, err);
    /* After a No Content a browser's EventSource does not reconnect. */
    return reply_response(request, MHD_HTTP_NO_CONTENT,
                          MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}
