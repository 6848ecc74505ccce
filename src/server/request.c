#include "server/request.h"

#include "server/guard.h"

const char *request_header(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct queue *request_queue(struct request *request, struct error *err) {
    if (!request->queue)
        request->queue = connections_borrow(request->api->connections, err);
    return request->queue;
}

void request_return_queue(struct request *request) {
    if (request->queue)
        connections_return(request->api->connections, steal(request->queue));
}

json_t *request_json(const struct request *request, size_t most, struct error *err) {
    const char *text = request->body.data ? request->body.data : "";
    return guard_json(text, request->body.length, most, err) ? json_parse(text, request->body.length, err) : NULL;
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
