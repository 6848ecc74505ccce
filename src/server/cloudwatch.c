#include "server/cloudwatch.h"

#include <stdio.h>

#include "base/emf.h"
#include "base/memory.h"
#include "base/thread.h"
#include "server/reading.h"

enum { NOTHING_BEFORE = -1 };

struct cloudwatch {
    const struct api *api;
    const char *name_space;
    int64_t period_ms;
    int64_t failed; /* the farm's failed jobs as of the line before; NOTHING_BEFORE: there was none */
    pthread_t thread;
};

static json_t *record_of(const struct cloudwatch *cloudwatch) {
    json_t *record = emf_record(cloudwatch->name_space, clock_wall_ms(cloudwatch->api->clock));
    emf_add_dimension(record, "Farm", connections_options(cloudwatch->api->connections)->farm);
    return record;
}

static json_t *pool_record(const struct cloudwatch *cloudwatch, const struct reading *reading, enum pool pool) {
    const struct pool_counts *counts = &reading->counts[pool];
    int64_t depth = 0;
    for (int class = 0; class < CLASS_COUNT; class ++)
        depth += counts->held_until_ms[class] ? 0 : counts->ready[class] + counts->delayed[class];
    json_t *record = record_of(cloudwatch);
    emf_add_dimension(record, "Pool", pool_name(pool));
    emf_add_metric(record, "QueueDepth", "Count", json_integer(depth));
    emf_add_metric(record, "OldestSegmentAgeSeconds", "Seconds", json_real((double)counts->oldest_ready_ms / 1000));
    emf_add_metric(record, "Workers", "Count", json_integer(reading_workers(reading, pool)));
    emf_add_metric(record, "WorkersDesired", "Count", json_integer(reading->desired[pool]));
    return record;
}

/* How many jobs have failed since the line before. The first line has nothing to compare with; a Redis that lost its
 * totals counts anew. */
static void add_failed(struct cloudwatch *cloudwatch, json_t *record, const struct reading *reading) {
    const char *kind;
    json_t *count;
    int64_t failed = 0;
    json_object_foreach (json_object_get(reading->totals, "jobs_failed"), kind, count)
        failed += json_integer_value(count);
    int64_t before = cloudwatch->failed;
    if (before != NOTHING_BEFORE)
        emf_add_metric(record, "JobsFailed", "Count", json_integer(failed >= before ? failed - before : failed));
    cloudwatch->failed = failed;
}

/* Takes the reference. */
static void append_line(struct buffer *out, json_t *record) {
    _cleanup_json_ json_t *owned = record;
    _cleanup_free_ char *line = json_line(owned);
    buffer_appendf(out, "%s\n", line);
}

static void write_lines(struct cloudwatch *cloudwatch) {
    const struct api *api = cloudwatch->api;
    _cleanup_buffer_ struct buffer lines = {0};
    _cleanup_reading_ struct reading reading = {0};
    struct error away; /* not shown: RedisUp is 0 then */
    struct queue *queue = connections_borrow(api->connections, &away);
    bool up = queue && reading_fetch(queue, api->policies, &reading, &away);
    if (queue)
        connections_return(api->connections, queue);
    json_t *farm = record_of(cloudwatch);
    emf_add_metric(farm, "Heartbeat", "Count", json_integer(1));
    emf_add_metric(farm, "RedisUp", "None", json_integer(up));
    if (up) {
        emf_add_metric(farm, "JobsDead", "Count", json_integer(json_get_integer(reading.overview, "dead", 0)));
        add_failed(cloudwatch, farm, &reading);
    }
    append_line(&lines, farm);
    for (int pool = 0; up && pool < POOL_COUNT; pool++)
        append_line(&lines, pool_record(cloudwatch, &reading, (enum pool)pool));
    fwrite(lines.data, 1, lines.length, stdout);
    fflush(stdout);
}

static void *cloudwatch_thread(void *context) {
    struct cloudwatch *cloudwatch = context;
    do
        write_lines(cloudwatch);
    while (lifetime_sleep(cloudwatch->api->lifetime, cloudwatch->period_ms));
    return NULL;
}

struct cloudwatch *cloudwatch_start(const struct api *api, const char *name_space, int64_t period_ms,
                                    struct error *err) {
    _cleanup_free_ struct cloudwatch *cloudwatch = xnew(struct cloudwatch);
    *cloudwatch = (struct cloudwatch){.api = api, .name_space = name_space, .period_ms = period_ms};
    cloudwatch->failed = NOTHING_BEFORE;
    return thread_start(&cloudwatch->thread, "cloudwatch", cloudwatch_thread, cloudwatch, err) ? steal(cloudwatch)
                                                                                               : NULL;
}

void cloudwatch_stop(struct cloudwatch *cloudwatch) {
    pthread_join(cloudwatch->thread, NULL);
    free(cloudwatch);
}
