#include "simulate/scenario.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "farm/images.h"
#include "farm/limits.h"
#include "farm/spec.h"

enum { HOUR = 3600, DAY = 86400, CAMPAIGNS_MAX = 5000000, SAMPLES_MAX = 100000, JOBS_MAX = 20000000 };

static const char *const market_names[] = {"on_demand", "spot", "reserved"};
_Static_assert(ARRAY_LENGTH(market_names) == MARKET_COUNT, "one a market");
const char *market_name(enum market market) { return market_names[market]; }

/* ---- chance ---- */

uint64_t scenario_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double scenario_random_unit(uint64_t *state) { return (double)(scenario_random(state) >> 11) * 0x1p-53; }

static double spread_draw_normal(uint64_t *state) {
    double radius = sqrt(-2 * log(1 - scenario_random_unit(state)));
    return radius * cos(2 * M_PI * scenario_random_unit(state));
}

double spread_draw(const struct spread *spread, uint64_t *state) {
    switch (spread->form) {
    case SPREAD_UNIFORM:
        return spread->a + (spread->b - spread->a) * scenario_random_unit(state);
    case SPREAD_LOGNORMAL:
        return exp(spread->a + spread->b * spread_draw_normal(state));
    case SPREAD_EXPONENTIAL:
        return -spread->a * log(1 - scenario_random_unit(state));
    case SPREAD_SAMPLES:
        return spread->samples[scenario_random(state) % spread->sample_count];
    default:
        return spread->a;
    }
}

/* ---- spreads: 60, [180, 300], {"mean": 40, "cv": 0.3}, {"exponential": 40}, {"samples": [38, 41.5]} ---- */

static bool spread_is_time(const json_t *value) {
    double number = json_number_value(value);
    return json_is_number(value) && number >= 0 && number <= 1e7;
}

static bool spread_read_samples(const json_t *list, struct spread *out) {
    size_t count = json_array_size(list);
    double sum = 0;
    bool good = count > 0 && count <= SAMPLES_MAX;
    for (size_t i = 0; i < count && good; i++) {
        good = spread_is_time(json_array_get(list, i));
        sum += json_number_value(json_array_get(list, i));
    }
    if (!good)
        return false;
    *out = (struct spread){SPREAD_SAMPLES, .mean = sum / (double)count, .sample_count = count};
    out->samples = xnew_array(double, count);
    for (size_t i = 0; i < count; i++)
        out->samples[i] = json_number_value(json_array_get(list, i));
    return true;
}

static bool spread_read_form(const json_t *value, struct spread *out) {
    if (spread_is_time(value)) {
        double time = json_number_value(value);
        *out = (struct spread){SPREAD_CONSTANT, .a = time, .mean = time};
        return true;
    }
    const json_t *low = json_array_get(value, 0), *high = json_array_get(value, 1);
    if (json_array_size(value) == 2 && spread_is_time(low) && spread_is_time(high)) {
        double a = json_number_value(low), b = json_number_value(high);
        *out = (struct spread){SPREAD_UNIFORM, .a = a, .b = b, .mean = (a + b) / 2};
        return a <= b;
    }
    const json_t *exponential = json_object_get(value, "exponential"), *samples = json_object_get(value, "samples");
    if (json_object_size(value) == 1 && spread_is_time(exponential)) {
        double mean = json_number_value(exponential);
        *out = (struct spread){SPREAD_EXPONENTIAL, .a = mean, .mean = mean};
        return true;
    }
    if (json_object_size(value) == 1 && samples)
        return spread_read_samples(samples, out);
    double mean = json_get_number(value, "mean", 0), cv = json_get_number(value, "cv", -1);
    double variance = log(1 + cv * cv); /* of the logarithm */
    *out = (struct spread){SPREAD_LOGNORMAL, .a = log(mean) - variance / 2, .b = sqrt(variance), .mean = mean};
    return json_object_size(value) == 2 && mean > 0 && mean <= 1e7 && cv >= 0 && cv <= 10;
}

static void spread_read(struct spec *spec, const json_t *object, const char *key, const char *path, double low,
                        double high, struct spread *out) {
    const json_t *value = json_object_get(object, key);
    if (!value)
        *out = (struct spread){SPREAD_UNIFORM, .a = low, .b = high, .mean = (low + high) / 2};
    else if (!spread_read_form(value, out))
        spec_problem(
            spec, path, key,
            "is none of: seconds; [low, high]; {\"mean\", \"cv\"}; {\"exponential\": mean}; {\"samples\": [...]}");
}

static void scenario_read_service(struct spec *spec, const json_t *service, struct scenario *out) {
    static const double usual[] = {
        [KIND_PLAN] = 15, [KIND_TRACK] = 20, [KIND_DUB] = 40,
        [KIND_JOIN] = 20, [KIND_IMAGE] = 44, /* four times 9 to 13 s: SDXL, 30 steps, an A10G, reckoned */
        [KIND_SHEET] = 10};
    _Static_assert(ARRAY_LENGTH(usual) == KIND_COUNT, "one a kind");
    const char *known[KIND_COUNT + 1] = {0};
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        known[kind] = job_kind_name((enum job_kind)kind);
        spread_read(spec, service, known[kind], "$.service_s", usual[kind] * 0.8, usual[kind] * 1.2,
                    &out->service_s[kind]);
    }
    spec_unknown_members(spec, service, "$.service_s", known);
}

/* ---- machines ---- */

/* us-east-1, on demand as of 2026-07-20 (reference: Karpenter's price list); spot and one-year reserved as
 * usual shares of it, 40 % and 63 %. */
static const struct {
    const char *type;
    int workers, slots, reserved;
    double price, spot_share;
} usual_nodes[POOL_COUNT] = {
    [POOL_CPU] = {"m5.2xlarge", 4, 1, 1, 0.384, 0},
    [POOL_LIPSYNC] = {"g5.2xlarge", 1, 1, 0, 1.212, 0.7},
    [POOL_IMAGE] = {"g5.12xlarge", 1, SCALE_IMAGE_JOBS, 0, 5.672, 0}, /* the chart's are all on demand */
};

static void scenario_read_nodes_of(struct spec *spec, const json_t *nodes, const char *path, enum pool pool,
                                   struct scenario_nodes *out) {
    static const char *const known[] = {"type",          "workers", "slots",  "price", "reserved",     "spot_share",
                                        "interruptions", "boot_s",  "pull_s", "pod_s", "image_cached", NULL};
    static const char *const markets[] = {"on_demand", "spot", "reserved", NULL};
    double usual = usual_nodes[pool].price;
    _cleanup_free_ char *prices = xasprintf("%s.price", path);
    const json_t *price = json_object_get(nodes, "price");
    spec_unknown_members(spec, nodes, path, known);
    spec_unknown_members(spec, price, prices, markets);
    const char *type = spec_string(spec, nodes, "type", path, false, 1, 64);
    out->type = xstrdup(type ? type : usual_nodes[pool].type);
    out->workers = (int)spec_number(spec, nodes, "workers", path, 1, 1000, usual_nodes[pool].workers);
    out->slots = (int)spec_number(spec, nodes, "slots", path, 1, SCENARIO_SLOTS_MAX, usual_nodes[pool].slots);
    out->price[MARKET_ON_DEMAND] = spec_number(spec, price, "on_demand", prices, 0, 1e4, usual);
    out->price[MARKET_SPOT] = spec_number(spec, price, "spot", prices, 0, 1e4, 0.4 * out->price[MARKET_ON_DEMAND]);
    out->price[MARKET_RESERVED] =
        spec_number(spec, price, "reserved", prices, 0, 1e4, 0.63 * out->price[MARKET_ON_DEMAND]);
    out->reserved = (int)spec_number(spec, nodes, "reserved", path, 0, 10000, usual_nodes[pool].reserved);
    out->spot_share = spec_number(spec, nodes, "spot_share", path, 0, 1, usual_nodes[pool].spot_share);
    out->interruptions = spec_number(spec, nodes, "interruptions", path, 0, 100, 0.05);
    out->image_cached = spec_bool(spec, nodes, "image_cached", path, true);
    spread_read(spec, nodes, "boot_s", path, 180, 300, &out->boot_s);
    spread_read(spec, nodes, "pull_s", path, 240, 360, &out->pull_s);
    spread_read(spec, nodes, "pod_s", path, 60, 60, &out->pod_s);
}

static void scenario_read_nodes(struct spec *spec, const json_t *nodes, struct scenario *out) {
    const char *known[POOL_COUNT + 1] = {0};
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        known[pool] = pool_name((enum pool)pool);
        _cleanup_free_ char *path = xasprintf("$.nodes.%s", known[pool]);
        scenario_read_nodes_of(spec, json_object_get(nodes, known[pool]), path, (enum pool)pool, &out->nodes[pool]);
    }
    spec_unknown_members(spec, nodes, "$.nodes", known);
}

/* ---- campaigns ---- */

int scenario_handfuls(const struct scenario_campaign *campaign) {
    return (campaign->pictures + IMAGE_HANDFUL - 1) / IMAGE_HANDFUL;
}

int scenario_jobs(const struct scenario_campaign *campaign) {
    if (campaign->pictures)
        return scenario_handfuls(campaign) + 1; /* the sheet */
    int dubs = campaign->segments * campaign->languages;
    return campaign->languages ? 1 + campaign->segments + campaign->languages + dubs : 1;
}

/* What a campaign is made of: pictures, or segments in languages. */
static void scenario_read_work(struct spec *spec, const json_t *json, const char *path, struct scenario_campaign *out) {
    if (!json_object_get(json, "pictures")) {
        out->segments = (int)spec_number(spec, json, "segments", path, 1, 100000, 6);
        out->languages = (int)spec_number(spec, json, "languages", path, 0, CAMPAIGN_DUBS_MAX, 1);
        return;
    }
    out->pictures = (int)spec_number(spec, json, "pictures", path, 1, (double)limit_most(LIMIT_PICTURES), 1);
    if (json_object_get(json, "segments") || json_object_get(json, "languages"))
        spec_problem(spec, path, "pictures", "cannot be given with segments or languages: a campaign is of one kind");
}

static void scenario_read_campaign(struct spec *spec, const json_t *json, const char *path,
                                   struct scenario_campaign *out) {
    static const char *const known[] = {"hour", "class", "pictures", "segments", "languages", "due_hours", NULL};
    if (!json_is_object(json))
        spec_problem(spec, path, NULL, "is not an object such as {\"hour\":9.5,\"segments\":12,\"languages\":8}");
    spec_unknown_members(spec, json, path, known);
    const char *class = spec_string(spec, json, "class", path, false, 1, 10);
    out->class = CLASS_BATCH;
    if (class && !campaign_class_parse(class, &out->class))
        spec_problem(spec, path, "class", "is neither \"urgent\" nor \"batch\"");
    out->at_s = spec_number(spec, json, "hour", path, 0, 24 * 366, 0) * HOUR;
    scenario_read_work(spec, json, path, out);
    out->due_s = spec_number(spec, json, "due_hours", path, 0, 24 * 366, 0) * HOUR;
}

static void scenario_read_campaigns(struct spec *spec, const json_t *list, struct scenario *out) {
    if (!json_is_array(list) || json_array_size(list) > CAMPAIGNS_MAX) {
        spec_problem(spec, "$.campaigns", NULL, "is not a list of campaigns");
        return;
    }
    out->campaign_count = json_array_size(list);
    out->campaigns = xnew_array(struct scenario_campaign, out->campaign_count + 1);
    for (size_t i = 0; i < out->campaign_count; i++) {
        _cleanup_free_ char *path = xasprintf("$.campaigns[%zu]", i);
        scenario_read_campaign(spec, json_array_get(list, i), path, &out->campaigns[i]);
    }
}

/* How campaigns come when the file does not list them. */
struct arrivals {
    int campaigns, image_campaigns;
    double jobs_per_hour; /* Poisson, single jobs, instead of campaigns */
    double urgent_share, festival_day, festival_days, festival_share;
    double segments[2], languages[2], pictures[2], due_hours[CLASS_COUNT];
};

/* [low, high], between which whole numbers are drawn. */
static void scenario_read_range(struct spec *spec, const json_t *object, const char *key, double low, double high,
                                double most, double out[2]) {
    const json_t *value = json_object_get(object, key);
    out[0] = value ? json_number_value(json_array_get(value, 0)) : low;
    out[1] = value ? json_number_value(json_array_get(value, 1)) : high;
    if (value && (json_array_size(value) != 2 || out[0] < 1 || out[1] < out[0] || out[1] > most))
        spec_problem(spec, "$.arrivals", key, "is not [low, high], from 1 on");
}

static void scenario_read_arrivals(struct spec *spec, const json_t *json, struct arrivals *out) {
    static const char *const known[] = {"campaigns", "image_campaigns", "jobs_per_hour", "urgent_share", "festival",
                                        "segments",  "languages",       "pictures",      "due_hours",    NULL};
    static const char *const festival_known[] = {"day", "days", "share", NULL};
    static const char where[] = "$.arrivals", festival_where[] = "$.arrivals.festival";
    const json_t *festival = json_object_get(json, "festival"), *due = json_object_get(json, "due_hours");
    spec_unknown_members(spec, json, where, known);
    spec_unknown_members(spec, festival, festival_where, festival_known);
    out->campaigns = (int)spec_number(spec, json, "campaigns", where, 0, CAMPAIGNS_MAX, 25);
    out->image_campaigns = (int)spec_number(spec, json, "image_campaigns", where, 0, CAMPAIGNS_MAX, 0);
    out->jobs_per_hour = spec_number(spec, json, "jobs_per_hour", where, 0, 1e6, 0);
    out->urgent_share = spec_number(spec, json, "urgent_share", where, 0, 1, 0.2);
    out->festival_day = spec_number(spec, festival, "day", festival_where, 0, 366, 18);
    out->festival_days = spec_number(spec, festival, "days", festival_where, 0.1, 366, 3);
    out->festival_share = spec_number(spec, festival, "share", festival_where, 0, 1, festival ? 0.4 : 0);
    scenario_read_range(spec, json, "segments", 6, 18, 100000, out->segments);
    scenario_read_range(spec, json, "languages", 4, 12, CAMPAIGN_DUBS_MAX, out->languages);
    scenario_read_range(spec, json, "pictures", 50, 100, (double)limit_most(LIMIT_PICTURES), out->pictures);
    static const double usual[CLASS_COUNT] = {[CLASS_URGENT] = 3, [CLASS_BATCH] = 24};
    for (int class = 0; class < CLASS_COUNT; class ++)
        out->due_hours[class] = spec_number(spec, due, campaign_class_name((enum campaign_class) class),
                                            "$.arrivals.due_hours", 0, 10000, usual[class]);
}

static int draw_whole(const double range[2], uint64_t *state) {
    return (int)(range[0] + floor(scenario_random_unit(state) * (range[1] - range[0] + 1)));
}

/* People submit from 9 to 21 o'clock of the day in which the scenario starts; the festival takes its share. */
static double draw_arrival(const struct arrivals *arrivals, double days, uint64_t *state) {
    bool festival = scenario_random_unit(state) < arrivals->festival_share;
    double first = festival ? arrivals->festival_day : 0, span = festival ? arrivals->festival_days : days;
    double day = floor(MIN(first + scenario_random_unit(state) * span, days - 1));
    return MAX(day, 0) * DAY + (9 + 12 * scenario_random_unit(state)) * HOUR;
}

static int compare_campaigns(const void *a, const void *b) {
    double left = ((const struct scenario_campaign *)a)->at_s, right = ((const struct scenario_campaign *)b)->at_s;
    return (left > right) - (left < right);
}

static void scenario_generate_jobs(struct scenario *out, double per_hour, uint64_t *state) {
    out->campaign_count = (size_t)MIN(per_hour * 24 * out->days, (double)CAMPAIGNS_MAX);
    out->campaigns = xnew_array(struct scenario_campaign, out->campaign_count + 1);
    double at = 0;
    for (size_t i = 0; i < out->campaign_count; i++) {
        at -= HOUR / per_hour * log(1 - scenario_random_unit(state));
        out->campaigns[i] = (struct scenario_campaign){.at_s = at, .class = CLASS_URGENT, .segments = 1};
    }
}

static void scenario_generate(struct scenario *out, const struct arrivals *arrivals) {
    uint64_t state = out->seed;
    if (arrivals->jobs_per_hour > 0) {
        scenario_generate_jobs(out, arrivals->jobs_per_hour, &state);
        return;
    }
    out->campaign_count = (size_t)arrivals->campaigns + (size_t)arrivals->image_campaigns;
    out->campaigns = xnew_array(struct scenario_campaign, out->campaign_count + 1);
    for (size_t i = 0; i < out->campaign_count; i++) {
        struct scenario_campaign *campaign = &out->campaigns[i];
        campaign->at_s = draw_arrival(arrivals, out->days, &state);
        campaign->class = scenario_random_unit(&state) < arrivals->urgent_share ? CLASS_URGENT : CLASS_BATCH;
        if (i < (size_t)arrivals->campaigns) {
            campaign->segments = draw_whole(arrivals->segments, &state);
            campaign->languages = draw_whole(arrivals->languages, &state);
        } else {
            campaign->pictures = draw_whole(arrivals->pictures, &state);
        }
        campaign->due_s = arrivals->due_hours[campaign->class] * HOUR;
    }
}

/* ---- the whole ---- */

static void scenario_check_size(struct spec *spec, const struct scenario *scenario) {
    double jobs = 0;
    for (size_t i = 0; i < scenario->campaign_count; i++)
        jobs += scenario_jobs(&scenario->campaigns[i]);
    if (jobs > JOBS_MAX)
        spec_problem(spec, "$", NULL, "has more than twenty million jobs");
}

/* How far the clock that the start is written in is ahead of UTC, in seconds. */
static int scenario_clock_offset(const char *start, int64_t start_ms) {
    _cleanup_free_ char *as_utc = xasprintf("%.19sZ", start);
    int64_t local_ms;
    return clock_parse_iso(as_utc, &local_ms) ? (int)((local_ms - start_ms) / 1000) : 0;
}

struct scenario *scenario_read(const json_t *json, json_t *problems) {
    static const char *const known[] = {"name",  "seed",      "start", "days",        "campaigns", "arrivals",
                                        "pools", "service_s", "nodes", "cool_down_s", "sync_s",    NULL};
    struct spec spec = {problems};
    size_t before = json_array_size(problems);
    struct arrivals arrivals;
    _cleanup_scenario_ struct scenario *scenario = xnew(struct scenario);
    if (!json_is_object(json))
        spec_problem(&spec, "$", NULL, "is not an object");
    spec_unknown_members(&spec, json, "$", known);
    const char *name = spec_string(&spec, json, "name", "$", false, 1, 200);
    const char *start = spec_string(&spec, json, "start", "$", false, 1, 40);
    scenario->name = xstrdup(name ? name : "scenario");
    scenario->seed = (uint64_t)spec_number(&spec, json, "seed", "$", 0, 9e15, 1);
    scenario->days = spec_number(&spec, json, "days", "$", 0.01, 366, 30);
    scenario->cool_down_s = spec_number(&spec, json, "cool_down_s", "$", 0, DAY, SCALE_COOL_DOWN_MS / 1000);
    scenario->sync_s = spec_number(&spec, json, "sync_s", "$", 1, HOUR, 15);
    start = start ? start : "2026-10-25T00:00:00+05:30";
    if (clock_parse_iso(start, &scenario->start_ms))
        scenario->offset_s = scenario_clock_offset(start, scenario->start_ms);
    else
        spec_problem(&spec, "$", "start", "is not a time such as 2026-10-25T00:00:00+05:30");
    scenario->policies = scale_policies_read(json_object_get(json, "pools"), true, problems);
    scenario_read_service(&spec, json_object_get(json, "service_s"), scenario);
    scenario_read_nodes(&spec, json_object_get(json, "nodes"), scenario);
    scenario_read_arrivals(&spec, json_object_get(json, "arrivals"), &arrivals);
    if (json_array_size(problems) == before && !json_object_get(json, "campaigns"))
        scenario_generate(scenario, &arrivals);
    else if (json_object_get(json, "campaigns"))
        scenario_read_campaigns(&spec, json_object_get(json, "campaigns"), scenario);
    if (scenario->campaigns)
        qsort(scenario->campaigns, scenario->campaign_count, sizeof *scenario->campaigns, compare_campaigns);
    scenario_check_size(&spec, scenario);
    return json_array_size(problems) == before ? steal(scenario) : NULL;
}

void scenario_free(struct scenario *scenario) {
    free(scenario->name);
    free(scenario->campaigns);
    if (scenario->policies)
        scale_policies_free(scenario->policies);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        free(scenario->service_s[kind].samples);
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        free(scenario->nodes[pool].type);
        free(scenario->nodes[pool].boot_s.samples);
        free(scenario->nodes[pool].pull_s.samples);
        free(scenario->nodes[pool].pod_s.samples);
    }
    free(scenario);
}
