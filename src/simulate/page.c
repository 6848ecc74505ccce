#include "simulate/simulate.h"

#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "simulate/page_html.h"

/* Where page.html wants the document; a script in the page draws all the rest from it. */
static const char marker[] = "\"@RESULT@\"";

/* ---- the document ---- */

static json_t *nodes_to_json(const struct scenario_nodes *nodes) {
    json_t *price = json_object();
    for (int market = 0; market < MARKET_COUNT; market++)
        json_object_set_new(price, market_name((enum market)market), json_real(nodes->price[market]));
    return json_pack("{s:s,s:o,s:i}", "type", nodes->type, "price", price, "reserved", nodes->reserved);
}

/* Those with jobs, but for cpu, whose machines are a small part of the cost. */
static bool pool_is_drawn(const struct simulation *simulation, int pool) {
    return pool != POOL_CPU && simulation->used[pool];
}

static json_t *drawn_pools(const struct simulation *simulation) {
    json_t *pools = json_array();
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (pool_is_drawn(simulation, pool))
            json_array_append_new(pools, json_string(pool_name((enum pool)pool)));
    return pools;
}

/* The seed is a text: a number of JavaScript holds 53 bits. `start_s` is of the scenario's own clock. */
static json_t *scenario_to_json(const struct scenario *scenario) {
    json_t *nodes = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++)
        json_object_set_new(nodes, pool_name((enum pool)pool), nodes_to_json(&scenario->nodes[pool]));
    return json_pack("{s:s,s:I,s:I,s:i,s:f,s:I,s:o}", "name", scenario->name, "seed", (json_int_t)scenario->seed,
                     "start_s", (json_int_t)(scenario->start_ms / 1000 + scenario->offset_s), "offset_s",
                     scenario->offset_s, "days", scenario->days, "campaigns", (json_int_t)scenario->campaign_count,
                     "nodes", nodes);
}

/* [workers, busy, ready, held] of each part, held 0 or 1. */
static json_t *drawn_buckets(const struct sim_bucket *buckets) {
    json_t *list = json_array();
    for (int i = 0; i < SIM_BUCKETS; i++)
        json_array_append_new(
            list, json_pack("[i,i,i,i]", buckets[i].workers, buckets[i].busy, buckets[i].ready, buckets[i].held));
    return list;
}

static json_t *drawn_timeline(const struct simulation *simulation, const struct sim_timeline *timeline) {
    json_t *buckets = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (pool_is_drawn(simulation, pool))
            json_object_set_new(buckets, pool_name((enum pool)pool), drawn_buckets(timeline->buckets[pool]));
    return json_pack("{s:f,s:f,s:o}", "from_s", timeline->from_s, "to_s", timeline->to_s, "buckets", buckets);
}

/* To the last digit, so that sums of them are those of the table. */
static json_t *exact_costs(const struct simulation *simulation) {
    json_t *costs = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        json_t *markets = json_object();
        for (int market = 0; market < MARKET_COUNT; market++)
            json_object_set_new(markets, market_name((enum market)market), json_real(simulation->cost[pool][market]));
        json_object_set_new(costs, pool_name((enum pool)pool), markets);
    }
    return costs;
}

/* What `mela simulate --json` prints of it, with costs that are not rounded and with both timelines. */
static json_t *drawn_simulation(const struct simulation *simulation) {
    json_t *json = simulation_to_json(simulation);
    json_object_del(json, "timeline");
    json_object_set_new(json, "cost_usd", exact_costs(simulation));
    json_object_set_new(json, "whole", drawn_timeline(simulation, &simulation->timelines[SIM_WHOLE]));
    json_object_set_new(json, "busiest_day", drawn_timeline(simulation, &simulation->timelines[SIM_BUSIEST_DAY]));
    return json;
}

/* ---- the page ---- */

/* JSON as a part of a script element. `<` occurs within strings alone, where \u003c means the same, and without it no
 * text can end the element. */
static void add_script_json(struct buffer *out, const json_t *json) {
    _cleanup_free_ char *text = json_line(json);
    const char *rest = text;
    for (const char *next; (next = strchr(rest, '<')); rest = next + 1) {
        buffer_append(out, rest, (size_t)(next - rest));
        buffer_append_text(out, "\\u003c");
    }
    buffer_append_text(out, rest);
}

char *simulation_to_html(const struct scenario *scenario, const struct simulation *simulations, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, drawn_simulation(&simulations[i]));
    _cleanup_json_ json_t *document = json_pack("{s:o,s:o,s:o}", "scenario", scenario_to_json(scenario), "pools",
                                                drawn_pools(&simulations[0]), "simulations", list);
    const char *place = strstr(page_html, marker);
    struct buffer out = {0};
    buffer_append(&out, page_html, (size_t)(place - page_html));
    add_script_json(&out, document);
    buffer_append_text(&out, place + strlen(marker));
    return buffer_steal(&out);
}
