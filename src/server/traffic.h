/* How many requests the API had, how they ended and how long they took, by route. For several threads at once.
 * Private to this room. */
#pragma once

#include "base/buffer.h"

struct traffic;

/* How a route is named in the metrics; the strings live as long as the traffic. */
struct traffic_route {
    const char *method, *pattern;
};

/* `routes` is copied. */
struct traffic *traffic_new(const struct traffic_route *routes, size_t count);
void traffic_free(struct traffic *traffic);
/* Counts a completed request to routes[route]; `status` 0: the client left before the answer. */
void traffic_count(struct traffic *traffic, size_t route, unsigned status, int64_t duration_ns);
/* The rows of GET /metrics; routes that nobody asked for have none. */
void traffic_write(const struct traffic *traffic, struct buffer *out);
