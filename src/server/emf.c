#include "server/emf.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/emf.h"
#include "server/reading.h"

static const int64_t nothing_before = -1;

static json_t *record_of(const struct server *server) {
    json_t *record = emf_record(server->emf, clock_wall_ms(clock_system()));
    emf_add_dimension(record, "Farm", server->farm);
    return record;
}

static json_t *pool_record(const struct server *server, const struct reading *reading, enum pool pool) {
    const struct pool_counts *counts = &reading->counts[pool];
    int64_t depth = 0;
    for (int class = 0; class < CLASS_COUNT; class ++)
        depth += counts->held_until_ms[class] ? 0 : counts->ready[class] + counts->delayed[class];
    json_t *record = record_of(server);
    emf_add_dimension(record, "Pool", pool_name(pool));
    emf_add_metric(record, "QueueDepth", "Count", json_integer(depth));
    emf_add_metric(record, "OldestSegmentAgeSeconds", "Seconds", json_real((double)counts->oldest_ready_ms / 1000));
    emf_add_metric(record, "Workers", "Count", json_integer(reading_workers(reading, pool)));
    emf_add_metric(record, "WorkersDesired", "Count", json_integer(reading->desired[pool]));
    return record;
}

/* How many jobs have failed since the line before. The first line has nothing to compare with; a Redis that lost its
 * totals counts anew. */
static void add_failed(json_t *record, const struct reading *reading, int64_t *before) {
    const char *kind;
    json_t *count;
    int64_t failed = 0;
    json_object_foreach (json_object_get(reading->totals, "jobs_failed"), kind, count)
        failed += json_integer_value(count);
    if (*before != nothing_before)
        emf_add_metric(record, "JobsFailed", "Count", json_integer(failed >= *before ? failed - *before : failed));
    *before = failed;
}

/* Takes the reference. */
static void append_line(struct buffer *out, json_t *record) {
    _cleanup_json_ json_t *owned = record;
    _cleanup_free_ char *line = json_line(owned);
    buffer_appendf(out, "%s\n", line);
}

static void write_lines(struct server *server, int64_t *failed_before) {
    _cleanup_buffer_ struct buffer lines = {0};
    _cleanup_reading_ struct reading reading = {0};
    struct error away; /* RedisUp says it */
    struct queue *queue = server_queue_take(server, &away);
    bool up = queue && reading_take(server, queue, &reading, &away);
    if (queue)
        server_queue_give(server, queue);
    json_t *farm = record_of(server);
    emf_add_metric(farm, "Heartbeat", "Count", json_integer(1));
    emf_add_metric(farm, "RedisUp", "None", json_integer(up));
    if (up) {
        emf_add_metric(farm, "JobsDead", "Count", json_integer(json_get_integer(reading.overview, "dead", 0)));
        add_failed(farm, &reading, failed_before);
    }
    append_line(&lines, farm);
    for (int pool = 0; up && pool < POOL_COUNT; pool++)
        append_line(&lines, pool_record(server, &reading, (enum pool)pool));
    fwrite(lines.data, 1, lines.length, stdout);
    fflush(stdout);
}

void *emf_thread(void *context) {
    struct server *server = context;
    int64_t failed_before = nothing_before;
    do
        write_lines(server, &failed_before);
    while (server_sleep(server, server->emf_period_ms));
    return NULL;
}
