/* One peer's HTTP/2 session and the gRPC calls on it, without sockets: bytes in, bytes out. Private to grpc*.c. */
#pragma once

#include <stdint.h>

#include "keda/grpc.h"

struct grpc_session;

/* `all_streams` counts the streams of all sessions. `methods` and `context` are borrowed. */
struct grpc_session *grpc_session_new(const struct grpc_method *methods, void *context, int *all_streams,
                                      int64_t now_ms);
void grpc_session_free(struct grpc_session *session);
DEFINE_CLEANUP(struct grpc_session *, grpc_session_free)
#define _cleanup_grpc_session_ _cleanup_(grpc_session_free_cleanup)
/* Reads what the peer sent. False: it does not speak HTTP/2, or floods; send what there is to send and close. */
bool grpc_session_feed(struct grpc_session *session, const void *bytes, size_t length, int64_t now_ms) must_check;
/* The next bytes for the peer, borrowed until the next call; 0: none now. */
size_t grpc_session_take(struct grpc_session *session, const uint8_t **bytes);
/* Nothing more will be read or written. */
bool grpc_session_ended(const struct grpc_session *session);
/* Asks for the answer of each stream again and queues those that changed. */
void grpc_session_refresh(struct grpc_session *session);
/* Ends calls whose request did not arrive in time. */
void grpc_session_expire(struct grpc_session *session, int64_t now_ms);
void grpc_session_ping(struct grpc_session *session);
/* Whether HTTP/2's preface and first frame have come, and when the peer last asked for something (now, while a call is
 * open). */
bool grpc_session_greeted(const struct grpc_session *session);
int64_t grpc_session_used_ms(const struct grpc_session *session, int64_t now_ms);
/* The two steps of an orderly end: warn queues a first GOAWAY and ends the streams, requests on their way are still
 * answered; leave queues the last GOAWAY, what is asked after it is refused. */
void grpc_session_warn(struct grpc_session *session);
void grpc_session_leave(struct grpc_session *session);
