/* What the simulator plays: campaigns that arrive, how long things take, what machines cost. docs/scaling.md
 * describes the file. */
#pragma once

#include "scale/policy.h"

/* A time in seconds that varies. */
struct spread {
    enum { SPREAD_CONSTANT, SPREAD_UNIFORM, SPREAD_LOGNORMAL, SPREAD_EXPONENTIAL, SPREAD_SAMPLES } form;
    double a, b; /* constant; low, high; mean and deviation of the logarithm; mean */
    double mean;
    double *samples; /* as measured, each as likely */
    size_t sample_count;
};

/* Numbers that look random and depend on the seed alone (splitmix64; Steele, Lea, Flood 2014). */
uint64_t scenario_random(uint64_t *state);
/* Uniform in [0, 1). */
double scenario_random_unit(uint64_t *state);
double spread_draw(const struct spread *spread, uint64_t *state);

enum market { MARKET_ON_DEMAND, MARKET_SPOT, MARKET_RESERVED, MARKET_COUNT };
const char *market_name(enum market market);

enum { SCENARIO_SLOTS_MAX = 16 };

/* The machines of a pool. */
struct scenario_nodes {
    char *type;
    int workers;                /* on one node */
    int slots;                  /* jobs that a worker does at once, SCENARIO_SLOTS_MAX at most */
    double price[MARKET_COUNT]; /* USD an hour of a node */
    int reserved;               /* nodes that are always there */
    double spot_share;          /* of the nodes that come and go, 0 to 1; the nearest whole number of them */
    double interruptions;       /* of a spot node, an hour */
    struct spread boot_s, pull_s, pod_s;
    bool image_cached;
};

struct scenario_campaign {
    double at_s; /* since the start */
    enum campaign_class class;
    int pictures;            /* 0: a campaign of dubs */
    int segments, languages; /* of dubs; languages 0: one dub job and nothing else */
    double due_s;            /* after at_s; 0: none */
};

/* How many jobs of pictures a campaign has: IMAGE_HANDFUL pictures each, as of prompts of that many; 0 for dubs. */
int scenario_handfuls(const struct scenario_campaign *campaign);
/* All its jobs. */
int scenario_jobs(const struct scenario_campaign *campaign);

struct scenario {
    char *name;
    uint64_t seed;
    int64_t start_ms; /* Unix time */
    int offset_s;     /* of the clock that the start was given by, east of UTC */
    double days;
    struct scenario_campaign *campaigns; /* by time */
    size_t campaign_count;
    struct scale_policies *policies;
    struct spread service_s[KIND_COUNT];
    struct scenario_nodes nodes[POOL_COUNT];
    double cool_down_s; /* the window over which the most that was asked for is kept */
    double sync_s;      /* how often the scaler looks */
};

/* Reads a scenario, generating its campaigns when it says how many instead of which. Every problem is appended
 * to `problems` as {"path","message"}; NULL if there was any. */
struct scenario *scenario_read(const json_t *json, json_t *problems) must_check;
void scenario_free(struct scenario *scenario);
DEFINE_CLEANUP(struct scenario *, scenario_free)
#define _cleanup_scenario_ _cleanup_(scenario_free_cleanup)
