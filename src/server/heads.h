/* How long a client may take for a request's head, whatever it sends meanwhile: libmicrohttpd's own timer begins anew
 * with each byte, so that a byte now and then would hold a connection for ever. For several threads at once. Private to
 * this room. */
#pragma once

#include <microhttpd.h>

#include "base/error.h"
#include "server/lifetime.h"

struct clock;
struct heads;

/* `limit_ms`: from the connection's begin, or the end of its last answer, to the end of the next head. The clock is
 * borrowed. */
struct heads *heads_new(const struct clock *clock, int64_t limit_ms);
/* Starts the thread that closes those who take longer, until the lifetime is over; false with internal. */
bool heads_watch(struct heads *heads, struct lifetime *lifetime, struct error *err) must_check;
/* Waits for the thread, whose lifetime must be over. No connection may be left. */
void heads_free(struct heads *heads);

/* MHD_OPTION_NOTIFY_CONNECTION, with the heads as its context. */
void heads_notify(void *heads, struct MHD_Connection *connection, void **socket_context,
                  enum MHD_ConnectionNotificationCode code);
/* The connection's next head is awaited from now on. */
void heads_await(struct heads *heads, struct MHD_Connection *connection);
/* It has come. */
void heads_came(struct heads *heads, struct MHD_Connection *connection);
