#include "simulate/simulate.h"

#include <math.h>

#include "base/memory.h"

double simulation_pool_cost(const struct simulation *simulation, enum pool pool) {
    double sum = 0;
    for (int market = 0; market < MARKET_COUNT; market++)
        sum += simulation->cost[pool][market];
    return sum;
}

double simulation_cost(const struct simulation *simulation) {
    double sum = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        sum += simulation_pool_cost(simulation, (enum pool)pool);
    return sum;
}

static json_t *report_tenths(double value) { return json_real(round(value * 10) / 10); }
static json_t *report_cents(double value) { return json_real(round(value * 100) / 100); }

static json_t *times_to_json(const struct sim_times times[CLASS_COUNT]) {
    json_t *object = json_object();
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct sim_times *t = &times[class];
        json_object_set_new(object, campaign_class_name((enum campaign_class) class),
                            json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "count", (json_int_t)t->count, "mean",
                                      report_tenths(t->mean), "p50", report_tenths(t->p50), "p90",
                                      report_tenths(t->p90), "p95", report_tenths(t->p95), "p99", report_tenths(t->p99),
                                      "max", report_tenths(t->max)));
    }
    return object;
}

static json_t *cost_to_json(const struct simulation *simulation) {
    json_t *cost = json_pack("{s:o}", "total", report_cents(simulation_cost(simulation)));
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        json_t *markets = json_object();
        for (int market = 0; market < MARKET_COUNT; market++)
            json_object_set_new(markets, market_name((enum market)market),
                                report_cents(simulation->cost[pool][market]));
        json_object_set_new(cost, pool_name((enum pool)pool), markets);
    }
    return cost;
}

static json_t *seconds_to_json(const struct simulation *simulation) {
    json_t *object = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        double paid = simulation->paid_s[pool], busy = simulation->busy_s[pool];
        json_object_set_new(object, pool_name((enum pool)pool),
                            json_pack("{s:o,s:o,s:o}", "paid", report_tenths(paid), "busy", report_tenths(busy), "idle",
                                      report_tenths(paid - busy)));
    }
    return object;
}

/* By pool that has jobs, [workers, busy, ready] of each part. */
static json_t *timeline_to_json(const struct simulation *simulation) {
    json_t *object = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        if (!simulation->used[pool])
            continue;
        json_t *list = json_array();
        for (int i = 0; i < SIM_BUCKETS; i++) {
            const struct sim_bucket *bucket = &simulation->timelines[SIM_WHOLE].buckets[pool][i];
            json_array_append_new(list, json_pack("[i,i,i]", bucket->workers, bucket->busy, bucket->ready));
        }
        json_object_set_new(object, pool_name((enum pool)pool), list);
    }
    return object;
}

static json_t *most_workers_to_json(const struct simulation *simulation) {
    json_t *object = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++)
        json_object_set_new(object, pool_name((enum pool)pool), json_integer(simulation->most_workers[pool]));
    return object;
}

json_t *simulation_to_json(const struct simulation *s) {
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:o,s:o,s:o}", "policy",
                     sim_policy_name(s->policy), "cost_usd", cost_to_json(s), "worker_seconds", seconds_to_json(s),
                     "wait_s", times_to_json(s->wait), "makespan_s", times_to_json(s->makespan), "jobs",
                     (json_int_t)s->jobs, "campaigns", (json_int_t)s->campaigns, "unfinished",
                     (json_int_t)s->unfinished, "missed_deadlines", (json_int_t)s->missed, "interruptions",
                     (json_int_t)s->interruptions, "jobs_sent_back", (json_int_t)s->released, "seconds_lost",
                     report_tenths(s->lost_s), "workers_started", (json_int_t)s->workers, "most_workers",
                     most_workers_to_json(s), "hours", report_tenths(s->end_s / 3600), "timeline", timeline_to_json(s));
}
