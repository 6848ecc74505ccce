/* The simulator's scenario: what is accepted can be played. */
#include <math.h>

#include "farm/limits.h"
#include "fuzz.h"
#include "simulate/scenario.h"

/* Generating millions of campaigns is allowed, and takes seconds. */
static bool is_small(const json_t *json) {
    const json_t *arrivals = json_object_get(json, "arrivals");
    return json_get_number(arrivals, "campaigns", 0) <= 1000 &&
           json_get_number(arrivals, "image_campaigns", 0) <= 1000 &&
           json_get_number(arrivals, "jobs_per_hour", 0) <= 10;
}

static void check_spread(const struct spread *spread, uint64_t *state) {
    for (int i = 0; i < 8; i++) {
        double drawn = spread_draw(spread, state);
        ensure(isfinite(drawn) && drawn >= 0);
    }
}

static void check(const struct scenario *scenario) {
    uint64_t state = scenario->seed;
    for (size_t i = 0; i < scenario->campaign_count; i++) {
        const struct scenario_campaign *campaign = &scenario->campaigns[i];
        ensure(campaign->at_s >= 0 && isfinite(campaign->at_s) && campaign->due_s >= 0);
        ensure(i == 0 || campaign->at_s >= scenario->campaigns[i - 1].at_s);
        ensure(campaign->pictures >= 0 && campaign->pictures <= limit_most(LIMIT_PICTURES));
        ensure(campaign->pictures || (campaign->segments >= 1 && campaign->segments <= 100000));
        ensure(campaign->languages >= 0 && campaign->languages <= CAMPAIGN_DUBS_MAX);
        ensure(campaign->class >= 0 && campaign->class < CLASS_COUNT);
    }
    for (int kind = 0; kind < KIND_COUNT; kind++)
        check_spread(&scenario->service_s[kind], &state);
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        check_spread(&scenario->nodes[pool].boot_s, &state);
        check_spread(&scenario->nodes[pool].pull_s, &state);
        check_spread(&scenario->nodes[pool].pod_s, &state);
        ensure(scenario->nodes[pool].workers >= 1);
        ensure(scenario->nodes[pool].slots >= 1 && scenario->nodes[pool].slots <= SCENARIO_SLOTS_MAX);
    }
    ensure(scenario->days > 0 && scenario->policies && abs(scenario->offset_s) < 86400);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    _cleanup_json_ json_t *json = fuzz_json(bytes, length), *problems = json_array();
    if (!json || !is_small(json))
        return 0;
    _cleanup_scenario_ struct scenario *scenario = scenario_read(json, problems);
    ensure((scenario == NULL) == (json_array_size(problems) > 0));
    if (scenario)
        check(scenario);
    return 0;
}
