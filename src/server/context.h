/* What the handlers of requests share: each gets it as request->api. The server owns all of it. Private to this room.
 */
#pragma once

#include <stdatomic.h>

#include "base/clock.h"
#include "scale/policy.h"
#include "server/connections.h"
#include "server/last_counts.h"
#include "server/lifetime.h"
#include "server/monitor.h"
#include "server/traffic.h"
#include "store/store.h"

struct api {
    struct store *store;
    struct connections *connections; /* handlers borrow theirs by request_queue */
    const struct clock *clock;
    struct lifetime *lifetime;
    const struct scale_policies *policies; /* may be NULL: the default rule, no calendar */
    struct last_counts *last_counts;
    struct traffic *traffic;
    struct monitor *monitor;
    /* Event streams open now. It is a limit and a number to show: no other memory hangs on it, so its order does not
     * matter. */
    atomic_int streams;
    atomic_int uploads;     /* bodies being received; as streams */
    atomic_int large_specs; /* requests that have one; as streams */
    int idle_timeout_s;     /* a connection that moves no byte for so long is closed */
};
