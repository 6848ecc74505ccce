#include "server/request.h"

#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/guard.h"
#include "server/metrics.h"
#include "server/reply.h"
#include "server/route.h"

enum { LINGER_BYTES = 8 * 1024 * 1024, LINGER_MS = 2000 };

void *request_new(void *server, const char *target, struct MHD_Connection *connection) {
    struct request *request = xnew(struct request);
    request->server = server;
    request->connection = connection;
    request->target = xstrdup(target);
    request->started_ns = clock_monotonic_ns(clock_system());
    return request;
}

const char *request_header(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct queue *request_queue(struct request *request, struct error *err) {
    if (!request->queue)
        request->queue = server_queue_take(request->server, err);
    return request->queue;
}

static void request_queue_release(struct request *request) {
    if (request->queue)
        server_queue_give(request->server, steal(request->queue));
}

bool request_page(const struct request *request, int usual, int most, char **cursor, int *limit, struct error *err) {
    _cleanup_free_ char *text = NULL, *position = NULL;
    if (!guard_parameter(request->query, "limit", &text, err) ||
        !guard_parameter(request->query, "cursor", &position, err))
        return false;
    char *end = NULL;
    long value = text ? strtol(text, &end, 10) : usual;
    if ((text && (*text < '0' || *text > '9' || *end)) || value < 1 || value > most)
        return error_set(err, ERR_API_BAD_REQUEST, "limit must be a number from 1 to %d", most);
    *limit = (int)value;
    *cursor = steal(position);
    return true;
}

struct header_list {
    struct guard_header items[GUARD_HEADERS_MAX + 1];
    size_t count;
};

static enum MHD_Result header_collect(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                      const char *value, size_t value_length) {
    struct header_list *list = context;
    if (list->count < ARRAY_LENGTH(list->items))
        list->items[list->count++] = (struct guard_header){name, value ? value : "", name_length, value_length};
    return MHD_YES;
}

static bool request_guard(struct request *request, const char *method, const char *version, struct error *err) {
    struct header_list list = {.count = 0};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, header_collect, &list);
    if (!guard_line(method, request->target, version, err) ||
        !guard_headers(list.items, list.count, &request->content_length, err) ||
        !guard_target(request->target, &request->path, &request->query, err))
        return false;
    memcpy(request->method, method, strlen(method) + 1);
    return true;
}

static bool request_authorize(struct request *request, struct error *err) {
    static const char scheme[] = "Bearer ";
    if (request->route->access == ACCESS_PUBLIC)
        return true;
    const char *header = request_header(request, "Authorization");
    enum role role;
    if (!header || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return error_set(err, ERR_API_UNAUTHORIZED, "send an API key as Authorization: Bearer KEY");
    if (!keys_check(request->server->keys, header + sizeof scheme - 1, &role, &request->key_name))
        return error_set(err, ERR_API_UNAUTHORIZED, "this API key is not known here");
    if ((int)role < (int)request->route->access)
        return error_set(err, ERR_API_FORBIDDEN, "the key \"%s\" may not do this; it needs the role %s",
                         request->key_name, request->route->access == ACCESS_ADMIN ? "admin" : "producer or admin");
    return true;
}

static bool request_size(struct request *request, struct error *err) {
    int64_t limit = request->route->body_limit;
    if (limit == BODY_UPLOAD)
        limit = request->server->upload_limit;
    if (request->content_length <= limit)
        return true;
    return error_set(err, ERR_API_TOO_LARGE, "%s %s takes a body of at most %lld bytes, not %lld", request->method,
                     request->route->pattern, (long long)limit, (long long)request->content_length);
}

static bool request_begin(struct request *request, struct error *err) {
    char *allowed = NULL;
    if (atomic_load(&request->server->stopping))
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
    return request_authorize(request, err) && request_size(request, err) &&
           (!request->route->begin || request->route->begin(request, err));
}

static enum MHD_Result request_send(struct request *request) {
    return MHD_queue_response(request->connection, request->status, request->response);
}

/* The body, if there is one, stays unread: whatever follows on this connection cannot be trusted to be a
 * request. */
static enum MHD_Result request_send_early(struct request *request) {
    request->early = true;
    reply_header(request, "Connection", "close");
    return request_send(request);
}

static void server_enter(struct server *server) {
    pthread_mutex_lock(&server->lock);
    server->running++;
    pthread_mutex_unlock(&server->lock);
}

static void server_leave(struct server *server) {
    pthread_mutex_lock(&server->lock);
    if (--server->running == 0)
        pthread_cond_broadcast(&server->change);
    pthread_mutex_unlock(&server->lock);
}

static enum MHD_Result request_first_call(struct request *request, const char *method, const char *version) {
    struct error err;
    request->begun = true;
    server_enter(request->server);
    bool guarded = request_guard(request, method, version, &err);
    if (!guarded || !request_begin(request, &err))
        reply_error(request, &err);
    request_queue_release(request);
    bool unread = !guarded || request->content_length > 0;
    return request->response && unread ? request_send_early(request) : MHD_YES;
}

static enum MHD_Result request_last_call(struct request *request) {
    struct error err;
    if (!request->response && !request->route->handle(request, &err))
        reply_error(request, &err);
    request_queue_release(request);
    return request_send(request);
}

enum MHD_Result request_handle(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                               const char *version, const char *data, size_t *length, void **state) {
    struct request *request = *state;
    if (!request->begun)
        return request_first_call(request, method, version);
    if (*length == 0)
        return request_last_call(request);
    if (request->route->take)
        request->route->take(request, data, *length);
    else
        buffer_append(&request->body, data, *length);
    *length = 0;
    return MHD_YES;
}

/* Reads away what the client still sends, for a while: closing at once would reset the connection, and the
 * client could lose the answer that is on its way. */
static void request_linger(const struct request *request) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int64_t end_ns = clock_monotonic_ns(clock_system()) + LINGER_MS * 1000000LL;
    char scrap[16384];
    if (!info)
        return;
    shutdown(info->connect_fd, SHUT_WR);
    for (int64_t total = 0; total < LINGER_BYTES;) {
        int64_t left_ms = (end_ns - clock_monotonic_ns(clock_system())) / 1000000;
        struct pollfd wait = {.fd = info->connect_fd, .events = POLLIN};
        if (left_ms <= 0 || atomic_load(&request->server->stopping) || poll(&wait, 1, (int)left_ms) <= 0)
            return;
        ssize_t got = recv(info->connect_fd, scrap, sizeof scrap, MSG_DONTWAIT);
        if (got <= 0)
            return;
        total += got;
    }
}

static void request_log(const struct request *request, int64_t duration_ns) {
    bool fault = request->status >= 500, read_only = request->method[0] == 'G' || request->method[0] == 'H';
    json_t *extra =
        json_pack("{s:s, s:s*, s:i, s:s*, s:I}", "method", request->method, "path", request->path, "status",
                  (int)request->status, "key", request->key_name, "duration_ms", (json_int_t)(duration_ns / 1000000));
    log_write_with(NULL, fault ? LOG_WARN : read_only ? LOG_DEBUG : LOG_INFO, extra, "request");
}

static void request_free(struct request *request) {
    if (request->response)
        MHD_destroy_response(request->response);
    if (request->upload)
        upload_free(request->upload);
    for (size_t i = 0; i < PATH_ARGUMENTS; i++)
        free(request->arguments[i]);
    json_decref(request->details);
    buffer_free(&request->body);
    free(request->target);
    free(request->path);
    free(request->query);
    free(request);
}

void request_completed(void *context, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code) {
    struct request *request = *state;
    *state = NULL;
    if (!request)
        return;
    struct server *server = request->server;
    bool begun = request->begun;
    if (begun) {
        int64_t duration_ns = clock_monotonic_ns(clock_system()) - request->started_ns;
        bool answered = request->response && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        metrics_count(server->metrics, request->route, answered ? request->status : 0, duration_ns);
        request_log(request, duration_ns);
    }
    if (request->early)
        request_linger(request);
    request_free(request);
    if (begun)
        server_leave(server);
}
