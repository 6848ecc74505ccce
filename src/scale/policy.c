#include "scale/policy.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "farm/spec.h"

static void scale_policy_read(const json_t *pool, const struct scale_rule *usual, const char *path,
                              bool quiet_by_default, json_t *problems, struct scale_policy *out) {
    static const char *const known[] = {"rule", "max", "quiet_hours", "days", NULL};
    struct spec spec = {problems};
    if (pool && !json_is_object(pool))
        spec_problem(&spec, path, NULL, "is not an object");
    spec_unknown_members(&spec, pool, path, known);
    scale_rule_read(pool, usual, path, problems, &out->rule);
    out->calendar = calendar_read(pool, path, quiet_by_default, problems);
}

struct scale_policies *scale_policies_read(const json_t *pools, bool quiet_by_default, json_t *problems) {
    _cleanup_policies_ struct scale_policies *policies = xnew(struct scale_policies);
    size_t before = json_array_size(problems);
    struct spec spec = {problems};
    const char *known[POOL_COUNT + 1] = {0};
    if (pools && !json_is_object(pools))
        spec_problem(&spec, "$.pools", NULL, "is not an object");
    for (int i = 0; i < POOL_COUNT; i++) {
        known[i] = pool_name((enum pool)i);
        _cleanup_free_ char *path = xasprintf("$.pools.%s", known[i]);
        scale_policy_read(json_object_get(pools, known[i]), scale_rule_usual((enum pool)i), path, quiet_by_default,
                          problems, &policies->pools[i]);
    }
    spec_unknown_members(&spec, pools, "$.pools", known);
    return json_array_size(problems) == before ? steal(policies) : NULL;
}

struct scale_policies *scale_policies_load(const struct config *config, bool quiet_by_default, json_t **problems,
                                           struct error *err) {
    _cleanup_json_ json_t *found = json_array();
    struct scale_policies *policies = scale_policies_read(config_get_json(config, "pools"), quiet_by_default, found);
    bool good = spec_ok(found, ERR_CONFIG_INVALID, "the pools of farm.json", err);
    if (problems)
        *problems = good ? NULL : json_incref(found);
    return policies;
}

void scale_policies_free(struct scale_policies *policies) {
    for (int i = 0; i < POOL_COUNT; i++)
        if (policies->pools[i].calendar)
            calendar_free(policies->pools[i].calendar);
    free(policies);
}

struct scale_demand scale_demand_of(const struct pool_counts *counts) {
    struct scale_demand demand;
    for (int class = 0; class < CLASS_COUNT; class ++)
        demand.load[class] = (struct scale_load){.ready = counts->ready[class],
                                                 .leased = counts->leased[class],
                                                 .delayed = counts->delayed[class],
                                                 .held = counts->held_until_ms[class] > 0};
    return demand;
}

void scale_demand_add(struct scale_demand *sum, const struct scale_demand *more) {
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct scale_load *load = &more->load[class];
        sum->load[class].ready += load->held ? 0 : load->ready;
        sum->load[class].leased += load->leased;
        sum->load[class].delayed += load->held ? 0 : load->delayed;
    }
}

bool scale_write_holds(const struct scale_policies *policies, struct queue *queue, int64_t now_ms, int64_t *next_ms,
                       struct error *err) {
    *next_ms = INT64_MAX;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int class = 0; class < CLASS_COUNT; class ++) {
            const struct calendar *calendar = policies->pools[pool].calendar;
            bool holds = calendar_holds(calendar, (enum campaign_class) class, now_ms);
            int64_t change = calendar_next_change(calendar, (enum campaign_class) class, now_ms);
            *next_ms = MIN(*next_ms, change);
            if (!queue_hold(queue, (enum pool)pool, (enum campaign_class) class, HOLD_CALENDAR, holds ? change : 0,
                            err))
                return false;
        }
    return true;
}

bool scale_resume(const struct scale_policies *policies, struct queue *queue, enum pool pool, enum campaign_class class,
                  int64_t now_ms, struct error *err) {
    const struct calendar *calendar = policies->pools[pool].calendar;
    if (!calendar_holds(calendar, class, now_ms))
        return queue_hold(queue, pool, class, HOLD_BY_HAND, 0, err);
    return queue_hold(queue, pool, class, RUN_BY_HAND, calendar_next_change(calendar, class, now_ms), err);
}
