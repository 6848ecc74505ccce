/* simulate: plays a scenario: the rule, the calendar and the queue's order of this very program against campaigns that
 * arrive, machines that boot and vanish, and prices.
 *
 * Discrete events in one thread, without a clock or a network. It promises: the same scenario and policy give the same
 * result, and every policy meets the same campaigns and service times. scenario.h reads what is played; report.c and
 * page.c write what came of it. */
#pragma once

#include "simulate/scenario.h"

enum sim_policy {
    SIM_RULE,      /* the scenario's rule and calendar */
    SIM_LINEAR,    /* KEDA's default for lists: ready jobs / 5, HPA's tolerance of 10 % and its steps upwards */
    SIM_CPU,       /* HPA on CPU: busy workers at 90 % against a target of 70 %, never below 1 */
    SIM_ALWAYS_ON, /* as many as the cap, all the time */
    SIM_DEADLINE,  /* predicted seconds of work against due times, cold start taken off */
    SIM_POLICY_COUNT
};
/* "rule", "keda-linear" ... */
const char *sim_policy_name(enum sim_policy policy);

/* Of a number of times, in seconds. */
struct sim_times {
    size_t count;
    double mean, p50, p90, p95, p99, max;
};

enum { SIM_BUCKETS = 720 };

/* The most within an equal part of the time. */
struct sim_bucket {
    int ready, workers, busy; /* jobs; workers, and those of them that have a job */
    bool held;                /* batch, at its beginning */
};

enum { SIM_WHOLE, SIM_BUSIEST_DAY };
struct sim_timeline {
    double from_s, to_s;
    struct sim_bucket buckets[POOL_COUNT][SIM_BUCKETS]; /* equal parts */
};

struct simulation {
    enum sim_policy policy;
    double end_s;                          /* of the time that was played */
    bool used[POOL_COUNT];                 /* some campaign has jobs for it; else no policy gives it a machine */
    double cost[POOL_COUNT][MARKET_COUNT]; /* USD */
    double paid_s[POOL_COUNT], busy_s[POOL_COUNT]; /* of workers; one is busy by the part of its slots that has jobs */
    double lost_s;                                 /* of jobs that were begun in vain */
    struct sim_times wait[CLASS_COUNT];            /* from ready to begun, each time a job is begun */
    struct sim_times makespan[CLASS_COUNT];        /* of campaigns, from submitted to done */
    size_t jobs, campaigns, unfinished, missed;    /* missed: campaigns done after they were due */
    size_t interruptions, released;                /* spot notices; jobs they sent back */
    size_t workers;                                /* started */
    int most_workers[POOL_COUNT];                  /* at once */
    struct sim_timeline timelines[2];              /* of the whole, and of the day in which most work comes */
};

/* Plays the scenario under one policy; *out is overwritten and owns nothing. */
void simulate(const struct scenario *scenario, enum sim_policy policy, struct simulation *out);

/* USD: of a pool, and in all. */
double simulation_pool_cost(const struct simulation *simulation, enum pool pool);
double simulation_cost(const struct simulation *simulation);

/* {"policy","cost_usd":{...},"worker_seconds":{...},"wait_s":{...},"makespan_s":{...},...}; docs/scaling.md. Costs are
 * rounded to cents, times to tenths of a second. New reference. */
json_t *simulation_to_json(const struct simulation *simulation);
/* An HTML page that loads nothing: totals, cost and time by policy, workers and queue over time, drawn by a script in
 * it from the numbers in it. The first simulation is the one whose totals come first; `count` is at least 1. Caller
 * frees. */
char *simulation_to_html(const struct scenario *scenario, const struct simulation *simulations, size_t count);
