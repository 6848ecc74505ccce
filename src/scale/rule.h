/* The scaling rule: how many workers a number of jobs asks for. Pure. */
#pragma once

#include <stdint.h>

#include "farm/job.h"

enum {
    SCALE_CAP = 20,              /* workers of one pool at most, unless set otherwise (design, section 8) */
    SCALE_IMAGE_CAP = 4,         /* the same of pool image (reference farm: 0 to 4 g5.12xlarge) */
    SCALE_IMAGE_JOBS = 4,        /* that a worker of pool image does at once: one a card of a g5.12xlarge */
    SCALE_CAP_MAX = 10000,       /* the highest cap a farm may set */
    SCALE_STEPS_MAX = 16,        /* steps of one rule */
    SCALE_COOL_DOWN_MS = 300000, /* how long an idle pool is kept: KEDA's default cooldownPeriod */
};

/* A step serves up to `up_to` jobs (INT64_MAX: any number), by a fixed number of workers, or by one worker
 * for every `jobs_per_worker` jobs, rounded up, when that is not 0. */
struct scale_step {
    int64_t up_to;
    int workers, jobs_per_worker;
};

/* The first step that reaches the number of jobs decides; the last one reaches any. */
struct scale_rule {
    struct scale_step steps[SCALE_STEPS_MAX];
    int step_count;
    int max;     /* workers of both classes together */
    int at_once; /* jobs that one worker does at the same time; the steps do not look at it */
};

/* 0 -> 0, 1-5 -> 2, 6-20 -> ceil(n/3), more -> ceil(n/2), at most SCALE_CAP (design, section 8). */
extern const struct scale_rule scale_rule_default;
/* What a pool has unless farm.json says otherwise: image ceil(n / SCALE_IMAGE_JOBS), at most SCALE_IMAGE_CAP; any other
 * scale_rule_default. */
const struct scale_rule *scale_rule_usual(enum pool pool);

/* Reads "rule" and "max" of a pool in farm.json into *out; what is missing (or the whole pool, NULL) is that of
 * `usual`. Every problem is appended to `problems` as {"path","message"}; then *out is not to be used. */
void scale_rule_read(const json_t *pool, const struct scale_rule *usual, const char *path, json_t *problems,
                     struct scale_rule *out);

/* Jobs of one class. */
struct scale_load {
    int64_t ready, leased, delayed; /* delayed: due within the cool-down */
    bool held;                      /* nothing more is claimed now: only what is leased counts */
};

struct scale_demand {
    struct scale_load load[CLASS_COUNT];
};

struct scale_answer {
    int workers[CLASS_COUNT]; /* when each class has workers of its own */
    int total;                /* when all workers serve both classes */
};

/* Workers wanted, of each class by its own ready + leased + delayed jobs, and of both together by their sum. A
 * held class asks for as many as its leased jobs keep busy, so that all of them may finish. Where there is a lease at
 * least one is wanted. The cap is for both classes: urgent takes first, batch what is left, but one place is kept for
 * batch while it holds a lease (a cap of 1 excepted). */
struct scale_answer scale_desired(const struct scale_rule *rule, const struct scale_demand *demand);
/* Why: one sentence about a class. Caller frees. */
char *scale_explain(const struct scale_rule *rule, const struct scale_demand *demand, enum campaign_class class);
