#include "server/traffic.h"

#include <stdatomic.h>

#include "base/exposition.h"
#include "base/memory.h"

enum { STATUS_COUNT = 600, BUCKET_COUNT = 9 };

static const double bucket_seconds[BUCKET_COUNT] = {0.001, 0.005, 0.025, 0.1, 0.25, 1, 5, 30, 120};

/* Each counter stands for itself and no other memory hangs on it, so that any order would do. A scrape may see a
 * request in one of them and not yet in the next; the next scrape sees it in all. */
struct route_traffic {
    struct traffic_route route;
    atomic_long by_status[STATUS_COUNT]; /* 0: the client left before the answer */
    atomic_long buckets[BUCKET_COUNT + 1];
    atomic_llong duration_ns;
};

struct traffic {
    struct route_traffic *routes;
    size_t count;
};

struct traffic *traffic_new(const struct traffic_route *routes, size_t count) {
    struct traffic *traffic = xnew(struct traffic);
    traffic->routes = xnew_array(struct route_traffic, count);
    traffic->count = count;
    for (size_t i = 0; i < count; i++)
        traffic->routes[i].route = routes[i];
    return traffic;
}

void traffic_free(struct traffic *traffic) {
    free(traffic->routes);
    free(traffic);
}

void traffic_count(struct traffic *traffic, size_t route, unsigned status, int64_t duration_ns) {
    struct route_traffic *counts = &traffic->routes[route];
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT && (double)duration_ns > bucket_seconds[bucket] * 1e9)
        bucket++;
    atomic_fetch_add(&counts->by_status[status < STATUS_COUNT ? status : 0], 1);
    atomic_fetch_add(&counts->buckets[bucket], 1);
    atomic_fetch_add(&counts->duration_ns, duration_ns);
}

#define traffic_row(out, name, value, counts, ...)                                                                     \
    metric_row(out, name, value, "method", (counts)->route.method, "route", (counts)->route.pattern, ##__VA_ARGS__)

static void write_statuses(struct buffer *out, const struct route_traffic *counts) {
    char text[16];
    for (int status = 0; status < STATUS_COUNT; status++) {
        long count = atomic_load(&counts->by_status[status]);
        snprintf(text, sizeof text, "%d", status);
        if (count)
            traffic_row(out, "mela_http_requests_total", (double)count, counts, "status", text);
    }
}

static void write_durations(struct buffer *out, const struct route_traffic *counts) {
    char limit[16];
    long total = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        total += atomic_load(&counts->buckets[i]);
        snprintf(limit, sizeof limit, "%g", bucket_seconds[i]);
        traffic_row(out, "mela_http_request_duration_seconds_bucket", (double)total, counts, "le", limit);
    }
    total += atomic_load(&counts->buckets[BUCKET_COUNT]);
    double seconds = (double)atomic_load(&counts->duration_ns) / 1e9;
    traffic_row(out, "mela_http_request_duration_seconds_bucket", (double)total, counts, "le", "+Inf");
    traffic_row(out, "mela_http_request_duration_seconds_sum", seconds, counts);
    traffic_row(out, "mela_http_request_duration_seconds_count", (double)total, counts);
}

void traffic_write(const struct traffic *traffic, struct buffer *out) {
    metric_head(out, "mela_http_requests_total", "counter",
                "Requests completed, by route and status; status 0: the client left before the answer.");
    for (size_t i = 0; i < traffic->count; i++)
        write_statuses(out, &traffic->routes[i]);
    metric_head(out, "mela_http_request_duration_seconds", "histogram",
                "Time from the request's first line to the last byte of its answer.");
    for (size_t i = 0; i < traffic->count; i++)
        if (atomic_load(&traffic->routes[i].duration_ns))
            write_durations(out, &traffic->routes[i]);
}
