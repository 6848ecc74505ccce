#include "server/reply.h"

#include <string.h>

#include "base/memory.h"

bool reply_response(struct request *request, unsigned status, struct MHD_Response *response) {
    if (request->response)
        MHD_destroy_response(request->response);
    request->response = response;
    request->status = status;
    reply_header(request, "X-Content-Type-Options", "nosniff");
    return true;
}

void reply_header(struct request *request, const char *name, const char *value) {
    MHD_add_response_header(request->response, name, value);
}

bool reply_text(struct request *request, unsigned status, const char *type, struct buffer *text) {
    size_t length = text->length;
    char *bytes = buffer_steal(text);
    reply_response(request, status, MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE));
    reply_header(request, "Content-Type", type);
    reply_header(request, "Cache-Control", "no-store");
    return true;
}

bool reply_json(struct request *request, unsigned status, json_t *body) {
    if (!body)
        return false;
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_free_ char *line = json_line(body);
    json_decref(body);
    buffer_append_text(&text, line);
    buffer_append_text(&text, "\n");
    return reply_text(request, status, "application/json", &text);
}

json_t *reply_string(const char *text) {
    json_t *value = json_string(text);
    if (value)
        return value;
    _cleanup_free_ char *plain = xstrdup(text);
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(plain);
}

void reply_error(struct request *request, const struct error *failure) {
    unsigned status = (unsigned)error_http_status(failure->code);
    json_t *details = request->details ? steal(request->details) : json_array();
    json_t *body = json_pack("{s:{s:s, s:o, s:o}}", "error", "code", error_name(failure->code), "message",
                             reply_string(failure->message), "details", details);
    if (!reply_json(request, status, body))
        abort(); /* json_pack fails for lack of memory only */
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        reply_header(request, "Retry-After", "5");
    if (status == MHD_HTTP_UNAUTHORIZED)
        reply_header(request, "WWW-Authenticate", "Bearer realm=\"mela\"");
}
