#include "server/reading.h"

#include <string.h>

#include "scale/scale.h"

static const char *const state_names[] = {"idle", "busy", "draining", "ill"};
_Static_assert(ARRAY_LENGTH(state_names) == WORKER_STATE_COUNT, "one a state");

const char *worker_state_name(enum worker_state state) { return state_names[state]; }

const struct scale_rule *pool_rule(const struct scale_policies *policies, enum pool pool) {
    return policies ? &policies->pools[pool].rule : scale_rule_usual(pool);
}

static void count_worker(struct reading *reading, const json_t *worker) {
    const char *state = json_get_string(worker, "state", "");
    size_t i;
    json_t *name;
    for (int s = 0; s < WORKER_STATE_COUNT; s++) {
        if (strcmp(state, state_names[s]) != 0)
            continue;
        json_array_foreach (json_object_get(worker, "pools"), i, name) {
            enum pool pool;
            if (json_is_string(name) && pool_parse(json_string_value(name), &pool))
                reading->workers[pool][s]++;
        }
    }
}

static bool read_pools(struct queue *queue, const struct scale_policies *policies, struct reading *out,
                       struct error *err) {
    for (int i = 0; i < POOL_COUNT; i++) {
        enum pool pool = (enum pool)i;
        if (!queue_pool_counts(queue, pool, SCALE_COOL_DOWN_MS, &out->counts[pool], err))
            return false;
        struct scale_demand demand = scale_demand_of(&out->counts[pool]);
        out->desired[pool] = scale_desired(pool_rule(policies, pool), &demand).total;
    }
    return true;
}

bool reading_fetch(struct queue *queue, const struct scale_policies *policies, struct reading *out, struct error *err) {
    *out = (struct reading){0};
    _cleanup_json_ json_t *workers = queue_workers(queue, err);
    size_t i;
    json_t *worker;
    json_array_foreach (workers, i, worker)
        count_worker(out, worker);
    if (!workers || !read_pools(queue, policies, out, err))
        return false;
    out->totals = queue_totals(queue, err);
    if (!out->totals)
        return false;
    out->overview = queue_overview(queue, READING_CAMPAIGNS, err);
    return out->overview && queue_redis_state(queue, &out->redis, err);
}

int reading_workers(const struct reading *reading, enum pool pool) {
    int sum = 0;
    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        sum += reading->workers[pool][state];
    return sum;
}

void reading_free(struct reading *reading) {
    json_decref(reading->totals);
    json_decref(reading->overview);
}
