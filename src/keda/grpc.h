/* A small gRPC server over HTTP/2 (nghttp2): methods that answer from memory, streams that push when an answer changes.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * It promises: one thread serves all connections and none can hold up or outgrow the others: every length, count and
 * time a peer decides on is limited (the numbers below), and a peer that does not read is not read from. Plain text
 * is HTTP/2 with prior knowledge; TLS asks for ALPN "h2". Private to this room. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

enum grpc_status {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
};

enum {
    GRPC_REQUEST_MAX = 16 * 1024, /* bytes of one message */
    GRPC_HEADERS_MAX = 16 * 1024, /* bytes of a request's headers, by RFC 9113, 6.5.2 */
    GRPC_CONNECTIONS_MAX = 256,
    GRPC_STREAMS_MAX = 2048,     /* of one connection */
    GRPC_ALL_STREAMS_MAX = 8192, /* of all */
    GRPC_REQUEST_MS = 10000,     /* for a handshake, and for a request to arrive whole */
    GRPC_QUIET_MS = 30000,       /* a peer that was silent for so long is pinged, and left when it stays silent */
    GRPC_UNUSED_MS = 1800000,    /* a connection without a request for so long is closed */
};

struct grpc_method {
    const char *path; /* "/externalscaler.ExternalScaler/IsActive" */
    /* The answer is asked for again after each grpc_wake and sent whenever it differs; "unavailable" is then not an
     * end but an answer that is not known yet. */
    bool is_stream;
    /* Appends the reply's message; never waits. On anything but GRPC_OK it has set err->message. */
    enum grpc_status (*answer)(void *context, const void *request, size_t length, struct buffer *reply,
                               struct error *err);
};

struct grpc_options {
    const char *address;                /* "0.0.0.0:7421" */
    const char *certificate, *key, *ca; /* PEM files; NULL: plain text; with `ca` clients must show a certificate;
                                         * read again for a new connection when they changed */
    const struct grpc_method *methods;  /* ended by a NULL path */
    void *context;
};

struct grpc_server;
/* Listens and starts the thread. config.invalid names what is wrong with the address or the files; internal. */
struct grpc_server *grpc_start(const struct grpc_options *options, struct error *err) must_check;
/* The port it listens on. */
int grpc_port(const struct grpc_server *server);
/* An eventfd of the server's own: writing to it has every stream ask again. */
int grpc_wake(const struct grpc_server *server);
/* Sends GOAWAY, ends streams with "unavailable" (clients connect anew), waits up to two seconds for answers to be sent,
 * and frees the server. */
void grpc_stop(struct grpc_server *server);
DEFINE_CLEANUP(struct grpc_server *, grpc_stop)
#define _cleanup_grpc_server_ _cleanup_(grpc_stop_cleanup)
