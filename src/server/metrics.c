/* GET /metrics in the Prometheus text format; docs/metrics.md lists the names. */
#include "server/metrics.h"

#include <stddef.h>

#include "base/exposition.h"

struct pool_series {
    const char *name, *help;
    size_t offset; /* of an int64_t for each class in struct pool_counts */
};

static void write_pools(struct buffer *out, const struct reading *reading) {
    static const struct pool_series series[] = {
        {"mela_jobs_ready", "Jobs that wait for a worker.", offsetof(struct pool_counts, ready)},
        {"mela_jobs_leased", "Jobs that a worker holds.", offsetof(struct pool_counts, leased)},
        {"mela_jobs_delayed", "Jobs due for a retry within the cool-down.", offsetof(struct pool_counts, delayed)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(series); i++) {
        metric_head(out, series[i].name, "gauge", series[i].help);
        for (int pool = 0; pool < POOL_COUNT; pool++) {
            const int64_t *values = (const void *)((const char *)&reading->counts[pool] + series[i].offset);
            for (int class = 0; class < CLASS_COUNT; class ++)
                metric_row(out, series[i].name, (double)values[class], "pool", pool_name((enum pool)pool), "class",
                           campaign_class_name((enum campaign_class) class));
        }
    }
}

static void write_oldest(struct buffer *out, const struct reading *reading) {
    static const char name[] = "mela_oldest_ready_job_age_seconds";
    metric_head(out, name, "gauge", "Age of the oldest job that waits for a worker and may begin.");
    for (int pool = 0; pool < POOL_COUNT; pool++)
        metric_row(out, name, (double)reading->counts[pool].oldest_ready_ms / 1000, "pool", pool_name((enum pool)pool));
}

static void write_held(struct buffer *out, const struct reading *reading) {
    static const char name[] = "mela_class_held";
    metric_head(out, name, "gauge", "1 while no job of the class may begin (quiet hours, or by hand).");
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int class = 0; class < CLASS_COUNT; class ++)
            metric_row(out, name, reading->counts[pool].held_until_ms[class] != 0, "pool", pool_name((enum pool)pool),
                       "class", campaign_class_name((enum campaign_class) class));
}

static void write_workers(struct buffer *out, const struct reading *reading) {
    static const char desired[] = "mela_workers_desired", workers[] = "mela_workers";
    metric_head(out, desired, "gauge", "Workers that the scaling rule asks for.");
    for (int pool = 0; pool < POOL_COUNT; pool++)
        metric_row(out, desired, reading->desired[pool], "pool", pool_name((enum pool)pool));
    metric_head(out, workers, "gauge", "Workers that live; one of several pools counts in each.");
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int state = 0; state < WORKER_STATE_COUNT; state++)
            metric_row(out, workers, reading->workers[pool][state], "pool", pool_name((enum pool)pool), "state",
                       worker_state_name((enum worker_state)state));
}

/* Kinds that nothing happened to yet have a row too, so that the first time shows as an increase. */
static void write_by_kind(struct buffer *out, const struct reading *reading) {
    static const struct {
        const char *member, *name, *help;
        double factor;
    } series[] = {
        {"jobs_done", "mela_jobs_done_total", "Jobs done.", 1},
        {"jobs_failed", "mela_jobs_failed_total", "Jobs that were given up.", 1},
        {"job_errors", "mela_job_errors_total", "Errors of jobs, also of those that were tried again.", 1},
        {"job_refusals", "mela_job_refusals_total", "Errors of jobs that were their worker's fault.", 1},
        {"job_ms", "mela_job_seconds_total", "Time from claim to finish of done jobs.", 0.001},
        {"gpu_ms", "mela_gpu_seconds_total", "Time that done jobs held a CUDA card.", 0.001},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(series); i++) {
        const json_t *values = json_object_get(reading->totals, series[i].member);
        metric_head(out, series[i].name, "counter", series[i].help);
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            const char *name = job_kind_name((enum job_kind)kind);
            metric_row(out, series[i].name, json_get_number(values, name, 0) * series[i].factor, "kind", name);
        }
    }
}

static void write_steps(struct buffer *out, const struct reading *reading) {
    static const char name[] = "mela_step_seconds_total";
    json_t *steps = json_object_get(reading->totals, "step_ms"), *ms;
    const char *step;
    metric_head(out, name, "counter", "Time spent in each step of finished jobs.");
    json_object_foreach (steps, step, ms)
        metric_row(out, name, json_number_value(ms) * 0.001, "step", step);
}

static void write_campaigns(struct buffer *out, const struct reading *reading) {
    static const char *const ends[] = {"done", "partial", "failed", "cancelled"};
    static const char ended[] = "mela_campaigns_ended_total", jobs[] = "mela_campaign_jobs";
    size_t i;
    json_t *campaign;
    metric_head(out, ended, "counter", "Campaigns that ended; one that a retry revived ends again.");
    for (i = 0; i < ARRAY_LENGTH(ends); i++)
        metric_row(out, ended, json_get_number(json_object_get(reading->totals, "campaigns_ended"), ends[i], 0),
                   "state", ends[i]);
    metric_one(out, "mela_campaigns_open", "gauge", "Campaigns that have not ended.",
               json_get_number(reading->overview, "open", 0));
    metric_head(out, jobs, "gauge", "Jobs of the open campaigns, the newest fifty.");
    json_array_foreach (json_object_get(reading->overview, "campaigns"), i, campaign) {
        for (int s = 0; s < JOB_STATE_COUNT; s++) {
            const char *state = job_state_name((enum job_state)s);
            metric_row(out, jobs, json_get_number(json_object_get(campaign, "jobs"), state, 0), "campaign",
                       json_get_string(campaign, "id", ""), "name", json_get_string(campaign, "name", ""), "state",
                       state);
        }
    }
}

static void write_redis(struct buffer *out, const struct redis_state *redis) {
    metric_one(out, "mela_redis_memory_bytes", "gauge", "Memory that Redis uses.", (double)redis->memory_bytes);
    if (redis->memory_limit_bytes)
        metric_one(out, "mela_redis_memory_limit_bytes", "gauge", "Memory that Redis may use (maxmemory).",
                   (double)redis->memory_limit_bytes);
    metric_one(out, "mela_redis_clients", "gauge", "Connections to Redis.", (double)redis->clients);
    metric_one(out, "mela_redis_commands_total", "counter", "Commands that Redis has carried out.",
               (double)redis->commands);
    metric_one(out, "mela_redis_persistence_ok", "gauge",
               "1 unless Redis failed to write its append-only file or its snapshot the last time.", redis->persists);
}

void metrics_write_farm(struct buffer *out, const struct reading *reading) {
    write_pools(out, reading);
    write_oldest(out, reading);
    write_held(out, reading);
    write_workers(out, reading);
    metric_one(out, "mela_frames_total", "counter", "Frames that finished jobs worked on.",
               json_get_number(reading->totals, "frames", 0));
    metric_one(out, "mela_pictures_total", "counter", "Pictures that finished jobs drew.",
               json_get_number(reading->totals, "pictures", 0));
    write_by_kind(out, reading);
    write_steps(out, reading);
    metric_one(out, "mela_job_crashes_total", "counter", "Leases that ran out, and processes that died of a job.",
               json_get_number(reading->totals, "job_crashes", 0));
    metric_one(out, "mela_dead_jobs", "gauge", "Jobs that were given up and not retried, 1,000 at most.",
               json_get_number(reading->overview, "dead", 0));
    write_campaigns(out, reading);
    write_redis(out, &reading->redis);
}
