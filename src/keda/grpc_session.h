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
/* Takes what the peer sent. False: it does not speak HTTP/2, or floods; send what there is to send and close. */
bool grpc_session_feed(struct grpc_session *session, const void *bytes, size_t length, int64_t now_ms) must_check;
/* The next bytes for the peer, borrowed until the next call; 0: none now. */
size_t grpc_session_take(struct grpc_session *session, const uint8_t **bytes);
/* Nothing more will be read or written. */
bool grpc_session_ended(const struct grpc_session *session);
/* Asks the streams' answers again. */
void grpc_session_refresh(struct grpc_session *session);
/* Ends calls whose request did not arrive in time. */
void grpc_session_expire(struct grpc_session *session, int64_t now_ms);
void grpc_session_ping(struct grpc_session *session);
/* Whether the peer has said hello, and when it last asked for something. */
bool grpc_session_greeted(const struct grpc_session *session);
int64_t grpc_session_used_ms(const struct grpc_session *session, int64_t now_ms);
/* Says that an end is near and ends the streams; then, that it is here: what is asked from now on is not answered. */
void grpc_session_warn(struct grpc_session *session);
void grpc_session_leave(struct grpc_session *session);
