#include "keda/grpc_session.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "base/memory.h"

enum {
    PREFIX = 5, /* of a message: compressed or not, and four bytes of length */
    PATH_MAX_BYTES = 256,
    CONTROL_MAX = 1000, /* answers to pings and settings that wait to be sent: more is a flood */
};

struct stream {
    struct grpc_session *session;
    struct stream *next, **link;
    int32_t id;
    int64_t opened_ms;
    char path[PATH_MAX_BYTES + 1];
    bool is_post, is_grpc, is_answered, is_finished;
    size_t header_bytes;
    const struct grpc_method *method;
    struct buffer request; /* with its prefix */
    struct buffer last;    /* of a stream: the answer sent last */
    struct buffer out;
    size_t sent; /* of `out` */
    enum grpc_status status;
    char message[200];
};

struct grpc_session {
    nghttp2_session *http;
    const struct grpc_method *methods;
    void *context;
    struct stream *streams;
    int *all_streams;
    bool is_greeted, is_leaving;
    int64_t now_ms, used_ms;
};

static nghttp2_nv header_of(const char *name, const char *value) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

/* A failing submit means that the stream or the session is ending already, or no memory, which ends it as well. */
static void stream_check_submit(struct stream *stream, int result) {
    if (result != 0)
        nghttp2_session_terminate_session(stream->session->http, NGHTTP2_INTERNAL_ERROR);
}

static void grpc_stream_free(struct stream *stream) {
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    --*stream->session->all_streams;
    buffer_free(&stream->request);
    buffer_free(&stream->last);
    buffer_free(&stream->out);
    free(stream);
}

/* ---- answering ---- */

static void stream_set_status(struct stream *stream, enum grpc_status status, const char *message) {
    stream->status = status;
    size_t at = 0; /* percent-encoded, as the protocol wants it */
    for (const char *c = message; *c && at + 4 < sizeof stream->message; c++) {
        bool plain = *c >= 0x20 && *c <= 0x7e && *c != '%';
        at += (size_t)snprintf(stream->message + at, 4, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    stream->message[at] = '\0';
}

/* Status and message as headers; how many. */
static size_t stream_status_headers(struct stream *stream, char number[12], nghttp2_nv *headers) {
    snprintf(number, 12, "%d", (int)stream->status);
    headers[0] = header_of("grpc-status", number);
    headers[1] = header_of("grpc-message", stream->message);
    return stream->message[0] ? 2 : 1;
}

/* An answer of headers alone. What the peer still sends of its request is not wanted. */
static void stream_answer_short(struct stream *stream, const char *http_status) {
    nghttp2_nv headers[4] = {header_of(":status", http_status), header_of("content-type", "application/grpc")};
    char number[12];
    size_t count = 2 + stream_status_headers(stream, number, headers + 2);
    stream->is_answered = stream->is_finished = true;
    stream_check_submit(stream, nghttp2_submit_response(stream->session->http, stream->id, headers, count, NULL));
}

static void stream_refuse(struct stream *stream, enum grpc_status status, const char *message) {
    stream_set_status(stream, status, message);
    stream_answer_short(stream, "200");
}

static ssize_t stream_read_out(nghttp2_session *http, int32_t id, uint8_t *bytes, size_t length, uint32_t *flags,
                               nghttp2_data_source *source, void *context) {
    struct stream *stream = source->ptr;
    size_t count = MIN(length, stream->out.length - stream->sent);
    if (count > 0)
        memcpy(bytes, stream->out.data + stream->sent, count);
    stream->sent += count;
    if (stream->sent == stream->out.length && stream->is_finished) {
        nghttp2_nv trailers[2];
        char number[12];
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        stream_check_submit(
            stream, nghttp2_submit_trailer(http, id, trailers, stream_status_headers(stream, number, trailers)));
    }
    return count == 0 && !stream->is_finished ? NGHTTP2_ERR_DEFERRED : (ssize_t)count;
}

static void stream_answer_long(struct stream *stream) {
    nghttp2_nv headers[] = {header_of(":status", "200"), header_of("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = stream_read_out};
    stream->is_answered = true;
    stream_check_submit(
        stream, nghttp2_submit_response(stream->session->http, stream->id, headers, ARRAY_LENGTH(headers), &provider));
}

static void stream_append_message(struct stream *stream, const struct buffer *message) {
    size_t length = message->length;
    unsigned char prefix[PREFIX] = {0, (unsigned char)(length >> 24), (unsigned char)(length >> 16),
                                    (unsigned char)(length >> 8), (unsigned char)length};
    if (stream->sent == stream->out.length) {
        buffer_clear(&stream->out);
        stream->sent = 0;
    }
    buffer_append(&stream->out, prefix, sizeof prefix);
    buffer_append(&stream->out, message->data, length);
}

static enum grpc_status stream_ask(struct stream *stream, struct buffer *reply, struct error *err) {
    return stream->method->answer(stream->session->context, stream->request.data + PREFIX,
                                  stream->request.length - PREFIX, reply, err);
}

/* A peer that does not read gets no second message behind one that waits, only the newest answer later. */
static void stream_refresh(struct stream *stream) {
    _cleanup_buffer_ struct buffer reply = {0};
    struct error err;
    if (stream->sent < stream->out.length || stream_ask(stream, &reply, &err) != GRPC_OK)
        return;
    if (stream->last.data && reply.length == stream->last.length &&
        memcmp(reply.data, stream->last.data, reply.length) == 0)
        return;
    stream_append_message(stream, &reply);
    buffer_clear(&stream->last);
    buffer_append(&stream->last, reply.data, reply.length);
    nghttp2_session_resume_data(stream->session->http, stream->id); /* fails when it is not waiting: good too */
}

static void stream_answer(struct stream *stream) {
    _cleanup_buffer_ struct buffer reply = {0};
    struct error err = {0};
    bool is_stream = stream->method->is_stream;
    enum grpc_status status = stream_ask(stream, &reply, &err);
    if (status != GRPC_OK && !(is_stream && status == GRPC_UNAVAILABLE)) {
        stream_refuse(stream, status, err.message);
        return;
    }
    if (status == GRPC_OK)
        stream_append_message(stream, &reply);
    if (status == GRPC_OK && is_stream)
        buffer_append(&stream->last, reply.data, reply.length);
    stream->is_finished = !is_stream;
    stream_answer_long(stream);
}

/* ---- requests ---- */

static const struct grpc_method *session_find_method(const struct grpc_session *session, const char *path) {
    const struct grpc_method *method = session->methods;
    while (method->path && strcmp(method->path, path) != 0)
        method++;
    return method->path ? method : NULL;
}

/* Exactly one message, not compressed. */
static bool grpc_is_whole(const struct buffer *request) {
    const unsigned char *b = (const unsigned char *)request->data;
    return request->length >= PREFIX && b[0] == 0 &&
           ((size_t)b[1] << 24 | (size_t)b[2] << 16 | (size_t)b[3] << 8 | b[4]) == request->length - PREFIX;
}

static void stream_dispatch(struct stream *stream) {
    if (!stream->is_post)
        stream_answer_short(stream, "405");
    else if (!stream->is_grpc)
        stream_answer_short(stream, "415");
    else if (!(stream->method = session_find_method(stream->session, stream->path)))
        stream_refuse(stream, GRPC_UNIMPLEMENTED, "there is no such method");
    else if (stream->request.length > 0 && stream->request.data[0] == 1)
        stream_refuse(stream, GRPC_UNIMPLEMENTED, "compressed messages are not understood");
    else if (!grpc_is_whole(&stream->request))
        stream_refuse(stream, GRPC_INVALID_ARGUMENT, "the request is not one whole message");
    else
        stream_answer(stream);
}

static int session_on_begin_headers(nghttp2_session *http, const nghttp2_frame *frame, void *context) {
    struct grpc_session *session = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (session->is_leaving || *session->all_streams >= GRPC_ALL_STREAMS_MAX)
        return nghttp2_submit_rst_stream(http, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    struct stream *stream = xnew(struct stream);
    *stream = (struct stream){.session = session,
                              .id = frame->hd.stream_id,
                              .opened_ms = session->now_ms,
                              .next = session->streams,
                              .link = &session->streams};
    if (stream->next)
        stream->next->link = &stream->next;
    session->streams = stream;
    ++*session->all_streams;
    session->used_ms = session->now_ms;
    nghttp2_session_set_stream_user_data(http, stream->id, stream);
    return 0;
}

static int session_on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                             const uint8_t *value, size_t length, uint8_t flags, void *context) {
    struct stream *stream = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
    if (!stream)
        return 0;
    stream->header_bytes += name_length + length + 32;
    if (stream->header_bytes > GRPC_HEADERS_MAX)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;                   /* resets the stream */
    const char *word = (const char *)name, *text = (const char *)value; /* both end with a NUL */
    if (strcmp(word, ":method") == 0)
        stream->is_post = strcmp(text, "POST") == 0;
    else if (strcmp(word, "content-type") == 0)
        stream->is_grpc = strncmp(text, "application/grpc", 16) == 0;
    else if (strcmp(word, ":path") == 0)
        snprintf(stream->path, sizeof stream->path, "%s", length <= PATH_MAX_BYTES ? text : "");
    return 0;
}

static int session_on_data(nghttp2_session *http, uint8_t flags, int32_t id, const uint8_t *bytes, size_t length,
                           void *context) {
    struct stream *stream = nghttp2_session_get_stream_user_data(http, id);
    if (!stream || stream->is_answered)
        return 0;
    if (stream->request.length + length > PREFIX + GRPC_REQUEST_MAX) {
        stream_refuse(stream, GRPC_RESOURCE_EXHAUSTED, "the message is too long");
        return 0;
    }
    buffer_append(&stream->request, bytes, length);
    return 0;
}

static int session_on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *context) {
    struct grpc_session *session = context;
    session->is_greeted = true; /* the first frame comes after the preface */
    bool is_last = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                   (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    struct stream *stream = is_last ? nghttp2_session_get_stream_user_data(http, frame->hd.stream_id) : NULL;
    if (stream && !stream->is_answered)
        stream_dispatch(stream);
    return 0;
}

/* An answer that came before the request's end: the rest of the request is not wanted (RFC 9113, 8.1). */
static int session_on_sent(nghttp2_session *http, const nghttp2_frame *frame, void *context) {
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (ends && nghttp2_session_get_stream_remote_close(http, frame->hd.stream_id) == 0)
        return nghttp2_submit_rst_stream(http, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int session_on_close(nghttp2_session *http, int32_t id, uint32_t code, void *context) {
    struct stream *stream = nghttp2_session_get_stream_user_data(http, id);
    if (stream)
        grpc_stream_free(stream);
    return 0;
}

/* ---- the session ---- */

static nghttp2_session *session_http_new(struct grpc_session *session) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *http = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        abort(); /* out of memory */
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, session_on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, session_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, session_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, session_on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, session_on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, session_on_close);
    nghttp2_option_set_max_outbound_ack(option, CONTROL_MAX);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (nghttp2_session_server_new2(&http, callbacks, session, option) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return http;
}

struct grpc_session *grpc_session_new(const struct grpc_method *methods, void *context, int *all_streams,
                                      int64_t now_ms) {
    struct grpc_session *session = xnew(struct grpc_session);
    *session = (struct grpc_session){
        .methods = methods, .context = context, .all_streams = all_streams, .now_ms = now_ms, .used_ms = now_ms};
    session->http = session_http_new(session);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX}};
    if (nghttp2_submit_settings(session->http, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings)) != 0)
        abort();
    return session;
}

void grpc_session_free(struct grpc_session *session) {
    for (struct stream *next, *stream = session->streams; stream; stream = next) {
        next = stream->next;
        grpc_stream_free(stream);
    }
    nghttp2_session_del(session->http);
    free(session);
}

bool grpc_session_feed(struct grpc_session *session, const void *bytes, size_t length, int64_t now_ms) {
    session->now_ms = now_ms;
    return nghttp2_session_mem_recv(session->http, bytes, length) == (ssize_t)length;
}

size_t grpc_session_take(struct grpc_session *session, const uint8_t **bytes) {
    ssize_t length = nghttp2_session_mem_send(session->http, bytes);
    return length > 0 ? (size_t)length : 0;
}

bool grpc_session_ended(const struct grpc_session *session) {
    return !nghttp2_session_want_read(session->http) && !nghttp2_session_want_write(session->http);
}

void grpc_session_refresh(struct grpc_session *session) {
    for (struct stream *stream = session->streams; stream; stream = stream->next)
        if (stream->is_answered && !stream->is_finished)
            stream_refresh(stream);
}

void grpc_session_expire(struct grpc_session *session, int64_t now_ms) {
    session->now_ms = now_ms;
    for (struct stream *stream = session->streams; stream; stream = stream->next)
        if (!stream->is_answered && now_ms - stream->opened_ms > GRPC_REQUEST_MS)
            stream_refuse(stream, GRPC_DEADLINE_EXCEEDED, "the request did not arrive in time");
}

void grpc_session_ping(struct grpc_session *session) {
    nghttp2_submit_ping(session->http, NGHTTP2_FLAG_NONE, NULL); /* fails for lack of memory only */
}

bool grpc_session_greeted(const struct grpc_session *session) { return session->is_greeted; }

int64_t grpc_session_used_ms(const struct grpc_session *session, int64_t now_ms) {
    return session->streams ? now_ms : session->used_ms;
}

void grpc_session_warn(struct grpc_session *session) {
    nghttp2_submit_shutdown_notice(session->http);
    for (struct stream *stream = session->streams; stream; stream = stream->next) {
        if (!stream->is_answered || stream->is_finished)
            continue;
        stream_set_status(stream, GRPC_UNAVAILABLE, "this scaler is stopping; ask another one");
        stream->is_finished = true;
        nghttp2_session_resume_data(session->http, stream->id);
    }
}

void grpc_session_leave(struct grpc_session *session) {
    session->is_leaving = true;
    nghttp2_submit_goaway(session->http, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session->http),
                          NGHTTP2_NO_ERROR, NULL, 0);
}
