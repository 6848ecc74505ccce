#include "server/dispatch.h"

#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"
#include "server/guard.h"
#include "server/handlers.h"
#include "server/reply.h"
#include "server/route.h"

enum { LINGER_BYTES = 8 * 1024 * 1024, LINGER_MS = 2000 };

void *dispatch_target(void *context, const char *target, struct MHD_Connection *connection) {
    struct dispatch *dispatch = context;
    struct request *request = xnew(struct request);
    request->api = dispatch->api;
    request->connection = connection;
    request->target = xstrdup(target);
    request->started_ns = clock_monotonic_ns(dispatch->api->clock);
    return request;
}

struct header_list {
    struct guard_header items[GUARD_HEADERS_MAX + 1];
    size_t count;
};

static enum MHD_Result dispatch_collect_header(void *context, enum MHD_ValueKind kind, const char *name,
                                               size_t name_length, const char *value, size_t value_length) {
    struct header_list *list = context;
    if (list->count < ARRAY_LENGTH(list->items))
        list->items[list->count++] = (struct guard_header){name, value ? value : "", name_length, value_length};
    return MHD_YES;
}

static bool dispatch_guard(struct request *request, const char *method, const char *version, struct error *err) {
    struct header_list list = {.count = 0};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, dispatch_collect_header, &list);
    if (!guard_line(method, request->target, version, err) ||
        !guard_headers(list.items, list.count, &request->content_length, err) ||
        !guard_target(request->target, &request->path, &request->query, err))
        return false;
    memcpy(request->method, method, strlen(method) + 1);
    return true;
}

static bool dispatch_authorize(const struct dispatch *dispatch, struct request *request, struct error *err) {
    static const char scheme[] = "Bearer ";
    if (request->route->access == ACCESS_PUBLIC)
        return true;
    const char *header = request_header(request, "Authorization");
    enum role role;
    if (!header || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return error_set(err, ERR_API_UNAUTHORIZED, "send an API key as Authorization: Bearer KEY");
    if (!keys_check(dispatch->keys, header + sizeof scheme - 1, &role, &request->key_name))
        return error_set(err, ERR_API_UNAUTHORIZED, "this API key is not known here");
    if ((int)role < (int)request->route->access)
        return error_set(err, ERR_API_FORBIDDEN, "the key \"%s\" may not do this; it needs the role %s",
                         request->key_name, request->route->access == ACCESS_ADMIN ? "admin" : "producer or admin");
    return true;
}

static bool dispatch_check_size(const struct dispatch *dispatch, const struct request *request, struct error *err) {
    int64_t limit = request->route->body_limit;
    if (limit == BODY_UPLOAD)
        limit = dispatch->upload_limit;
    if (request->content_length <= limit)
        return true;
    return error_set(err, ERR_API_TOO_LARGE, "%s %s takes a body of at most %lld bytes, not %lld", request->method,
                     request->route->pattern, (long long)limit, (long long)request->content_length);
}

static bool dispatch_begin(const struct dispatch *dispatch, struct request *request, struct error *err) {
    char *allowed = NULL;
    if (lifetime_is_over(request->api->lifetime))
        return error_set(err, ERR_API_BUSY, "the server is shutting down; try again");
    request->route = route_find(request->method, request->path, request->arguments, &allowed, err);
    if (!request->route) {
        if (allowed) {
            reply_error(request, err);
            reply_header(request, "Allow", allowed);
            free(allowed);
            return true;
        }
        return false;
    }
    return dispatch_authorize(dispatch, request, err) && guard_query(request->query, request->route->query, err) &&
           dispatch_check_size(dispatch, request, err) &&
           (!request->route->begin || request->route->begin(request, err));
}

static enum MHD_Result dispatch_send(struct request *request) {
    return MHD_queue_response(request->connection, request->status, request->response);
}

/* Closes the connection after the answer: the body stays unread, and what follows it may not be a request. */
static enum MHD_Result dispatch_send_early(struct request *request) {
    request->early = true;
    reply_header(request, "Connection", "close");
    return dispatch_send(request);
}

static enum MHD_Result dispatch_first_call(const struct dispatch *dispatch, struct request *request, const char *method,
                                           const char *version) {
    struct error err;
    request->begun = true;
    heads_came(dispatch->heads, request->connection);
    lifetime_enter(request->api->lifetime);
    bool guarded = dispatch_guard(request, method, version, &err);
    if (!guarded || !dispatch_begin(dispatch, request, &err))
        reply_error(request, &err);
    request_return_queue(request);
    bool unread = !guarded || request->content_length > 0;
    return request->response && unread ? dispatch_send_early(request) : MHD_YES;
}

static enum MHD_Result dispatch_last_call(struct request *request) {
    struct error err;
    if (!request->response && !request->route->handle(request, &err))
        reply_error(request, &err);
    request_return_queue(request);
    return dispatch_send(request);
}

enum MHD_Result dispatch_call(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *length, void **state) {
    struct request *request = *state;
    if (!request->begun)
        return dispatch_first_call(context, request, method, version);
    if (*length == 0)
        return dispatch_last_call(request);
    if (request->route->receive)
        request->route->receive(request, data, *length);
    else
        buffer_append(&request->body, data, *length);
    *length = 0;
    return MHD_YES;
}

/* Receives and drops what the client still sends, for a while: closing at once would reset the connection, and the
 * client could lose the answer that is on its way. */
static void dispatch_linger(const struct request *request) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int64_t end_ms = clock_monotonic_ms(request->api->clock) + LINGER_MS;
    char scrap[16384];
    if (!info)
        return;
    shutdown(info->connect_fd, SHUT_WR);
    for (int64_t total = 0; total < LINGER_BYTES;) {
        int64_t left_ms = end_ms - clock_monotonic_ms(request->api->clock);
        struct pollfd wait = {.fd = info->connect_fd, .events = POLLIN};
        if (left_ms <= 0 || lifetime_is_over(request->api->lifetime) || poll(&wait, 1, (int)left_ms) <= 0)
            return;
        ssize_t got = recv(info->connect_fd, scrap, sizeof scrap, MSG_DONTWAIT);
        if (got <= 0)
            return;
        total += got;
    }
}

static void dispatch_log(const struct request *request, int64_t duration_ns) {
    bool is_read = request->method[0] == 'G' || request->method[0] == 'H';
    enum log_level level = is_read ? LOG_DEBUG : LOG_INFO;
    if (request->status >= 500)
        level = LOG_WARN;
    json_t *extra =
        json_pack("{s:s, s:s*, s:i, s:s*, s:I}", "method", request->method, "path", request->path, "status",
                  (int)request->status, "key", request->key_name, "duration_ms", (json_int_t)(duration_ns / 1000000));
    log_write_with(NULL, level, extra, "request");
}

static void dispatch_free(struct request *request) {
    if (request->response)
        MHD_destroy_response(request->response);
    if (request->upload)
        upload_free(request->upload);
    submit_end(request);
    for (size_t i = 0; i < PATH_ARGUMENTS; i++)
        free(request->arguments[i]);
    json_decref(request->details);
    buffer_free(&request->body);
    free(request->key_name);
    free(request->target);
    free(request->path);
    free(request->query);
    free(request);
}

void dispatch_completed(void *context, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode code) {
    const struct dispatch *dispatch = context;
    struct request *request = *state;
    *state = NULL;
    if (!request)
        return;
    struct api *api = request->api;
    bool begun = request->begun;
    if (begun) {
        int64_t duration_ns = clock_monotonic_ns(request->api->clock) - request->started_ns;
        bool answered = request->response && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        size_t route = request->route ? (size_t)(request->route - routes) : route_count;
        traffic_count(api->traffic, route, answered ? request->status : 0, duration_ns);
        dispatch_log(request, duration_ns);
    }
    if (request->early)
        dispatch_linger(request);
    dispatch_free(request);
    heads_await(dispatch->heads, connection);
    if (begun)
        lifetime_leave(api->lifetime);
}
