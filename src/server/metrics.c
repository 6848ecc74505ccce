/* GET /metrics in the Prometheus text format; docs/metrics.md lists the names. */
#include "server/metrics.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "scale/scale.h"
#include "server/reply.h"
#include "server/route.h"

enum { STATUS_COUNT = 600, ROUTES_MAX = 32, BUCKET_COUNT = 9 };

static const double bucket_seconds[BUCKET_COUNT] = {0.001, 0.005, 0.025, 0.1, 0.25, 1, 5, 30, 120};

struct route_metrics {
    atomic_long by_status[STATUS_COUNT]; /* 0: the client left before the answer */
    atomic_long buckets[BUCKET_COUNT + 1];
    atomic_llong duration_ns;
};

struct metrics {
    struct route_metrics routes[ROUTES_MAX]; /* the last one: requests that no route matched */
};

struct metrics *metrics_new(void) { return xnew(struct metrics); }

void metrics_free(struct metrics *metrics) { free(metrics); }

void metrics_count(struct metrics *metrics, const struct route *route, unsigned status, int64_t duration_ns) {
    struct route_metrics *counts = &metrics->routes[route ? route - routes : ROUTES_MAX - 1];
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT && (double)duration_ns > bucket_seconds[bucket] * 1e9)
        bucket++;
    atomic_fetch_add(&counts->by_status[status < STATUS_COUNT ? status : 0], 1);
    atomic_fetch_add(&counts->buckets[bucket], 1);
    atomic_fetch_add(&counts->duration_ns, duration_ns);
}

static void metric_head(struct buffer *out, const char *name, const char *type, const char *help) {
    buffer_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void metric_one(struct buffer *out, const char *name, const char *type, const char *help, double value) {
    metric_head(out, name, type, help);
    buffer_appendf(out, "%s %.15g\n", name, value);
}

static void route_labels(size_t index, char out[96]) {
    if (index < route_count)
        snprintf(out, 96, "method=\"%s\",route=\"%s\"", routes[index].method, routes[index].pattern);
    else
        snprintf(out, 96, "method=\"\",route=\"none\"");
}

static void write_requests(struct buffer *out, struct metrics *metrics) {
    char labels[96];
    metric_head(out, "mela_http_requests_total", "counter",
                "Requests completed, by route and status; status 0: the client left before the answer.");
    for (size_t route = 0; route < ROUTES_MAX; route++) {
        route_labels(route, labels);
        for (int status = 0; status < STATUS_COUNT; status++) {
            long count = atomic_load(&metrics->routes[route].by_status[status]);
            if (count)
                buffer_appendf(out, "mela_http_requests_total{%s,status=\"%d\"} %ld\n", labels, status, count);
        }
    }
}

static void write_durations_of(struct buffer *out, struct route_metrics *counts, const char *labels) {
    static const char name[] = "mela_http_request_duration_seconds";
    long total = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        total += atomic_load(&counts->buckets[i]);
        buffer_appendf(out, "%s_bucket{%s,le=\"%g\"} %ld\n", name, labels, bucket_seconds[i], total);
    }
    total += atomic_load(&counts->buckets[BUCKET_COUNT]);
    buffer_appendf(out, "%s_bucket{%s,le=\"+Inf\"} %ld\n", name, labels, total);
    buffer_appendf(out, "%s_sum{%s} %.9f\n", name, labels, (double)atomic_load(&counts->duration_ns) / 1e9);
    buffer_appendf(out, "%s_count{%s} %ld\n", name, labels, total);
}

static void write_durations(struct buffer *out, struct metrics *metrics) {
    char labels[96];
    metric_head(out, "mela_http_request_duration_seconds", "histogram",
                "Time from the request's first line to the last byte of its answer.");
    for (size_t route = 0; route < ROUTES_MAX; route++) {
        if (!atomic_load(&metrics->routes[route].duration_ns))
            continue;
        route_labels(route, labels);
        write_durations_of(out, &metrics->routes[route], labels);
    }
}

static void write_process(struct buffer *out, struct server *server) {
    struct rusage usage = {0};
    long pages = 0;
    _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    getrusage(RUSAGE_SELF, &usage);
    metric_one(out, "mela_process_resident_memory_bytes", "gauge", "Resident memory of this process.",
               (double)pages * (double)sysconf(_SC_PAGESIZE));
    metric_one(out, "mela_process_cpu_seconds_total", "counter", "User and system time of this process.",
               (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    metric_one(out, "mela_event_streams", "gauge", "Event streams open now.", atomic_load(&server->streams));
}

static void write_store(struct buffer *out, struct store *store) {
    struct store_totals totals = {0};
    store_totals_get(store, &totals);
    metric_one(out, "mela_store_read_bytes_total", "counter", "Bytes this process read from the object store.",
               (double)totals.bytes_read);
    metric_one(out, "mela_store_written_bytes_total", "counter", "Bytes this process wrote to the object store.",
               (double)totals.bytes_written);
    metric_one(out, "mela_store_requests_total", "counter", "Requests this process made to the object store.",
               (double)totals.requests);
    metric_one(out, "mela_store_retries_total", "counter", "Requests to the object store that were made again.",
               (double)totals.retries);
}

struct pool_series {
    const char *name, *help;
    bool by_class;
    size_t offset; /* of the first int64_t in struct pool_counts */
};

static void write_pools(struct buffer *out, const struct pool_counts counts[POOL_COUNT]) {
    static const struct pool_series series[] = {
        {"mela_jobs_ready", "Jobs that wait for a worker.", true, offsetof(struct pool_counts, ready)},
        {"mela_jobs_leased", "Jobs that a worker holds.", true, offsetof(struct pool_counts, leased)},
        {"mela_jobs_delayed", "Jobs due for a retry within the cool-down.", true,
         offsetof(struct pool_counts, delayed)},
        {"mela_oldest_ready_job_age_milliseconds", "Age of the oldest job that waits for a worker.", false,
         offsetof(struct pool_counts, oldest_ready_ms)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(series); i++) {
        metric_head(out, series[i].name, "gauge", series[i].help);
        for (int pool = 0; pool < POOL_COUNT; pool++) {
            const int64_t *values = (const void *)((const char *)&counts[pool] + series[i].offset);
            for (int class = 0; series[i].by_class && class < CLASS_COUNT; class ++)
                buffer_appendf(out, "%s{pool=\"%s\",class=\"%s\"} %lld\n", series[i].name, pool_name((enum pool)pool),
                               campaign_class_name((enum campaign_class) class), (long long)values[class]);
            if (!series[i].by_class)
                buffer_appendf(out, "%s{pool=\"%s\"} %lld\n", series[i].name, pool_name((enum pool)pool),
                               (long long)values[0]);
        }
    }
}

static void write_desired(struct buffer *out, const struct server *server,
                          const struct pool_counts counts[POOL_COUNT]) {
    metric_head(out, "mela_workers_desired", "gauge", "Workers that the scaling rule asks for.");
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        struct scale_demand demand = scale_demand_of(&counts[pool]);
        struct scale_answer answer = scale_desired(server_rule(server, (enum pool)pool), &demand);
        buffer_appendf(out, "mela_workers_desired{pool=\"%s\"} %d\n", pool_name((enum pool)pool), answer.total);
    }
}

static void write_by_label(struct buffer *out, const json_t *totals, const char *member, const char *name,
                           const char *help, const char *label, double factor) {
    const json_t *values = json_object_get(totals, member);
    void *iterator = json_object_iter((json_t *)values);
    if (!iterator)
        return;
    metric_head(out, name, "counter", help);
    for (; iterator; iterator = json_object_iter_next((json_t *)values, iterator))
        buffer_appendf(out, "%s{%s=\"%s\"} %.15g\n", name, label, json_object_iter_key(iterator),
                       json_number_value(json_object_iter_value(iterator)) * factor);
}

static bool write_queue(struct buffer *out, const struct server *server, struct queue *queue, struct error *err) {
    struct pool_counts counts[POOL_COUNT] = {0};
    _cleanup_json_ json_t *totals = queue_totals(queue, err), *workers = totals ? queue_workers(queue, err) : NULL;
    if (!workers)
        return false;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (!queue_pool_counts(queue, (enum pool)pool, SCALE_COOL_DOWN_MS, &counts[pool], err))
            return false;
    write_pools(out, counts);
    write_desired(out, server, counts);
    metric_one(out, "mela_workers", "gauge", "Workers that live.", (double)json_array_size(workers));
    metric_one(out, "mela_frames_total", "counter", "Frames that finished jobs worked on.",
               json_get_number(totals, "frames", 0));
    write_by_label(out, totals, "jobs_done", "mela_jobs_done_total", "Jobs done.", "kind", 1);
    write_by_label(out, totals, "jobs_failed", "mela_jobs_failed_total", "Failures of jobs.", "kind", 1);
    write_by_label(out, totals, "step_ms", "mela_step_seconds_total", "Time spent in each step of finished jobs.",
                   "step", 0.001);
    return true;
}

bool metrics_show(struct request *request, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0}, farm = {0};
    struct error away; /* no error here: mela_queue_up says it, and the process' own numbers stay visible */
    struct queue *queue = request_queue(request, &away);
    bool up = queue && write_queue(&farm, request->server, queue, &away);
    metric_one(&text, "mela_queue_up", "gauge", "1 when Redis answers, else 0 and nothing about jobs below.", up);
    if (up)
        buffer_append(&text, farm.data, farm.length);
    write_process(&text, request->server);
    write_store(&text, request->server->store);
    write_requests(&text, request->server->metrics);
    write_durations(&text, request->server->metrics);
    return reply_text(request, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
}
