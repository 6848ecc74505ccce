/* Any bytes behind HTTP/2's preface: answered or refused, in bounded memory. */
#include <stdlib.h>

#include "keda/grpc_session.h"

enum { OUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static enum grpc_status echo(void *context, const void *request, size_t length, struct buffer *reply,
                             struct error *err) {
    buffer_append(reply, request, length);
    return length % 2 ? GRPC_UNAVAILABLE + 0 * error_set(err, ERR_QUEUE_UNAVAILABLE, "odd") : GRPC_OK;
}

static void drain(struct grpc_session *session) {
    const uint8_t *out;
    size_t total = 0;
    for (size_t length; (length = grpc_session_take(session, &out)) > 0; total += length)
        if (total > OUT_MAX)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    static const struct grpc_method methods[] = {{"/", false, echo}, {"/index.html", true, echo}, {0}};
    int streams = 0;
    struct grpc_session *session = grpc_session_new(methods, NULL, &streams, 0);
    bool good = grpc_session_feed(session, preface, sizeof preface, 0); /* the NUL behind it is the last of nine */
    drain(session);
    if (good && grpc_session_feed(session, bytes, length, 0)) {
        grpc_session_refresh(session);
        drain(session);
        grpc_session_expire(session, GRPC_REQUEST_MS + 1);
        grpc_session_warn(session);
        drain(session);
        grpc_session_leave(session);
    }
    drain(session);
    grpc_session_free(session);
    if (streams != 0)
        abort();
    return 0;
}
