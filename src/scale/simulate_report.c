#include "scale/simulate.h"

#include <math.h>
#include <time.h>

#include "base/buffer.h"
#include "base/memory.h"

static double cost_of(const struct simulation *simulation, enum pool pool) {
    double sum = 0;
    for (int market = 0; market < MARKET_COUNT; market++)
        sum += simulation->cost[pool][market];
    return sum;
}

static double total_cost(const struct simulation *simulation) {
    double sum = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        sum += cost_of(simulation, (enum pool)pool);
    return sum;
}

/* ---- JSON ---- */

static json_t *tenths(double value) { return json_real(round(value * 10) / 10); }
static json_t *cents(double value) { return json_real(round(value * 100) / 100); }

static json_t *times_to_json(const struct sim_times times[CLASS_COUNT]) {
    json_t *object = json_object();
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct sim_times *t = &times[class];
        json_object_set_new(object, campaign_class_name((enum campaign_class) class),
                            json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "count", (json_int_t)t->count, "mean",
                                      tenths(t->mean), "p50", tenths(t->p50), "p90", tenths(t->p90), "p95",
                                      tenths(t->p95), "p99", tenths(t->p99), "max", tenths(t->max)));
    }
    return object;
}

static json_t *cost_to_json(const struct simulation *simulation) {
    json_t *cost = json_pack("{s:o}", "total", cents(total_cost(simulation)));
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        json_t *markets = json_object();
        for (int market = 0; market < MARKET_COUNT; market++)
            json_object_set_new(markets, market_name((enum market)market), cents(simulation->cost[pool][market]));
        json_object_set_new(cost, pool_name((enum pool)pool), markets);
    }
    return cost;
}

static json_t *seconds_to_json(const struct simulation *simulation) {
    json_t *object = json_object();
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        double paid = simulation->paid_s[pool], busy = simulation->busy_s[pool];
        json_object_set_new(
            object, pool_name((enum pool)pool),
            json_pack("{s:o,s:o,s:o}", "paid", tenths(paid), "busy", tenths(busy), "idle", tenths(paid - busy)));
    }
    return object;
}

/* [workers, busy, ready] of each part. */
static json_t *timeline_to_json(const struct sim_timeline *timeline) {
    json_t *list = json_array();
    for (int i = 0; i < SIM_BUCKETS; i++) {
        const struct sim_bucket *bucket = &timeline->buckets[i];
        json_array_append_new(list, json_pack("[i,i,i]", bucket->workers, bucket->busy, bucket->ready));
    }
    return list;
}

json_t *simulation_to_json(const struct simulation *s) {
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:i,s:o,s:o}", "policy",
                     sim_policy_name(s->policy), "cost_usd", cost_to_json(s), "worker_seconds", seconds_to_json(s),
                     "wait_s", times_to_json(s->wait), "makespan_s", times_to_json(s->makespan), "jobs",
                     (json_int_t)s->jobs, "campaigns", (json_int_t)s->campaigns, "unfinished",
                     (json_int_t)s->unfinished, "missed_deadlines", (json_int_t)s->missed, "interruptions",
                     (json_int_t)s->interruptions, "jobs_sent_back", (json_int_t)s->released, "seconds_lost",
                     tenths(s->lost_s), "workers_started", (json_int_t)s->workers, "most_workers", s->most_workers,
                     "hours", tenths(s->end_s / 3600), "timeline", timeline_to_json(&s->timelines[SIM_WHOLE]));
}

/* ---- HTML ---- */

static void add_escaped(struct buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            buffer_appendf(out, "&#%d;", *text);
        else
            buffer_append(out, text, 1);
    }
}

/* "45 s", "12 min", "3.5 h". */
static void add_duration(struct buffer *out, double seconds) {
    if (seconds < 100)
        buffer_appendf(out, "%.0f s", seconds);
    else if (seconds < 6000)
        buffer_appendf(out, "%.0f min", seconds / 60);
    else
        buffer_appendf(out, "%.1f h", seconds / 3600);
}

static const char head[] =
    "<meta name=\"viewport\" content=\"width=device-width\"><style>"
    ":root{--ink:#1d2430;--soft:#667085;--line:#e4e7ec;--back:#fff;--night:#eef1f8}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#344054;--back:#12161d;--night:#"
    "1c2432}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:1080px;margin:2em auto;"
    "padding:0 1em}h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.1em;margin:2em 0 "
    ".5em}p{color:var(--soft);margin:.3em 0}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.35em .6em;text-align:right;border-bottom:1px solid var(--line)}"
    "td{white-space:nowrap}th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500;font-"
    "size:.85em;vertical-align:"
    "bottom}"
    "svg{display:block;width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:var(--soft)}"
    ".label{fill:var(--ink)}.grid{stroke:var(--line)}.night{fill:var(--night)}"
    ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 1em;vertical-align:-1px}"
    "</style>";

static const char *const colours[] = {"#3b6fd4", "#2fa37c", "#9a7bd0", "#c9cfda"};
enum { COLOUR_ON_DEMAND, COLOUR_SPOT, COLOUR_RESERVED, COLOUR_CPU };

static void add_key(struct buffer *out, const char *colour, const char *text) {
    buffer_appendf(out, "<span class=key style=\"background:%s\"></span>%s", colour, text);
}

static void add_row(struct buffer *out, const struct simulation *s) {
    double paid = s->paid_s[POOL_LIPSYNC], busy = s->busy_s[POOL_LIPSYNC];
    buffer_appendf(out, "<tr><td>%s<td>$%.2f<td>%.1f h<td>%.0f %%", sim_policy_name(s->policy), total_cost(s),
                   paid / 3600, paid > 0 ? 100 * busy / paid : 0);
    for (int class = 0; class < CLASS_COUNT; class ++) {
        buffer_append_text(out, "<td>");
        add_duration(out, s->wait[class].p95);
        buffer_append_text(out, "<td>");
        add_duration(out, s->makespan[class].p50);
        buffer_append_text(out, " / ");
        add_duration(out, s->makespan[class].p95);
    }
    buffer_appendf(out, "<td>%zu of %zu<td>%zu", s->missed, s->campaigns, s->interruptions);
}

static void add_table(struct buffer *out, const struct simulation *simulations, size_t count) {
    buffer_append_text(out, "<table><tr><th>policy<th>cost<th>paid, lipsync<th>of it busy<th>urgent: wait, p95"
                            "<th>urgent: campaign, p50 / p95<th>batch: wait, p95<th>batch: campaign, p50 / p95"
                            "<th>late<th>inter&shy;ruptions");
    for (size_t i = 0; i < count; i++)
        add_row(out, &simulations[i]);
    buffer_append_text(out, "</table>");
}

enum { WIDTH = 1000, LEFT = 110, RIGHT = 80, BAR = 30 };

static void add_bar(struct buffer *out, double *x, double y, double width, const char *colour, const char *title) {
    if (width > 0)
        buffer_appendf(out,
                       "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\" fill=\"%s\"><title>%s</title></rect>",
                       *x, y, width, colour, title);
    *x += width;
}

static void add_cost_bar(struct buffer *out, const struct simulation *s, double y, double scale) {
    double x = LEFT;
    buffer_appendf(out, "<text class=label x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 8, y + 14,
                   sim_policy_name(s->policy));
    for (int market = 0; market < MARKET_COUNT; market++)
        add_bar(out, &x, y, s->cost[POOL_LIPSYNC][market] * scale, colours[market], market_name((enum market)market));
    add_bar(out, &x, y, cost_of(s, POOL_CPU) * scale, colours[COLOUR_CPU], "cpu pool");
    buffer_appendf(out, "<text x=\"%.1f\" y=\"%.1f\">$%.2f</text>", x + 6, y + 14, total_cost(s));
}

static void add_costs(struct buffer *out, const struct simulation *simulations, size_t count) {
    double most = 0.01;
    for (size_t i = 0; i < count; i++)
        most = MAX(most, total_cost(&simulations[i]));
    buffer_append_text(out, "<h2>Cost by policy</h2><p>Pool lipsync:");
    add_key(out, colours[COLOUR_ON_DEMAND], "on demand");
    add_key(out, colours[COLOUR_SPOT], "spot");
    add_key(out, colours[COLOUR_RESERVED], "reserved");
    add_key(out, colours[COLOUR_CPU], "pool cpu, all markets");
    buffer_appendf(out, "</p><svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"cost by policy\">", WIDTH,
                   count * BAR + 4);
    for (size_t i = 0; i < count; i++)
        add_cost_bar(out, &simulations[i], (double)i * BAR + 2, (WIDTH - LEFT - RIGHT) / most);
    buffer_append_text(out, "</svg>");
}

/* Two strips: workers above, jobs that wait below. */
enum { CHART_LEFT = 44, CHART_RIGHT = 10, WORKERS_TOP = 6, WORKERS_HEIGHT = 90, QUEUE_TOP = 106, QUEUE_HEIGHT = 60 };
enum { CHART_BOTTOM = QUEUE_TOP + QUEUE_HEIGHT, CHART_HEIGHT = CHART_BOTTOM + 22 };

static double bucket_x(double bucket) { return CHART_LEFT + bucket * (WIDTH - CHART_LEFT - CHART_RIGHT) / SIM_BUCKETS; }

/* The area below a step line; `member` is the offset of an int in struct sim_bucket. */
static void add_area(struct buffer *out, const struct sim_timeline *timeline, size_t member, double bottom,
                     double height, const char *style) {
    double before = 0;
    buffer_appendf(out, "<path style=\"%s\" d=\"M%.1f %.1f", style, bucket_x(0), bottom);
    for (int i = 0; i < SIM_BUCKETS; i++) {
        double value = *(const int *)(const void *)((const char *)&timeline->buckets[i] + member);
        if (value != before)
            buffer_appendf(out, "H%.1fV%.1f", bucket_x(i), bottom - value * height);
        before = value;
    }
    buffer_appendf(out, "H%.1fV%.1fZ\"/>", bucket_x(SIM_BUCKETS), bottom);
}

static void add_nights(struct buffer *out, const struct sim_timeline *timeline) {
    for (int i = 0, first; i < SIM_BUCKETS; i++) {
        if (!timeline->buckets[i].held)
            continue;
        for (first = i; i + 1 < SIM_BUCKETS && timeline->buckets[i + 1].held;)
            i++;
        buffer_appendf(out, "<rect class=night x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", bucket_x(first),
                       WORKERS_TOP, bucket_x(i + 1) - bucket_x(first), CHART_BOTTOM - WORKERS_TOP);
    }
}

/* Ticks count from the scenario's start, so they are at its own midnights and hours. */
static void add_ticks(struct buffer *out, const struct sim_timeline *timeline, int64_t start_ms) {
    double length = timeline->to_s - timeline->from_s;
    bool hours = length <= 2 * 86400;
    double step = hours ? 3 * 3600 : 86400 * MAX(ceil(length / 86400 / 10), 1);
    for (double at = 0; at < length; at += step) {
        double x = bucket_x(at / length * SIM_BUCKETS);
        char text[16] = "";
        time_t time = (time_t)(start_ms / 1000 + 43200 + (int64_t)(timeline->from_s + at));
        struct tm tm;
        if (hours)
            snprintf(text, sizeof text, "%02.0f:00", fmod((timeline->from_s + at) / 3600, 24));
        else if (gmtime_r(&time, &tm))
            strftime(text, sizeof text, "%d %b", &tm);
        buffer_appendf(
            out, "<line class=grid x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\">%s</text>", x,
            x, WORKERS_TOP, CHART_BOTTOM, x, CHART_BOTTOM + 16, text);
    }
}

static void add_scale(struct buffer *out, double top, double bottom, double most) {
    buffer_appendf(out,
                   "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text><text x=\"%d\" y=\"%.1f\" "
                   "text-anchor=\"end\">0</text><line class=grid x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                   CHART_LEFT - 6, top + 10, most, CHART_LEFT - 6, bottom, CHART_LEFT, WIDTH - CHART_RIGHT, bottom,
                   bottom);
}

struct extent {
    double workers, ready;
};

static void add_timeline(struct buffer *out, const struct simulation *s, int which, int64_t start_ms,
                         struct extent most) {
    const struct sim_timeline *timeline = &s->timelines[which];
    double workers = WORKERS_HEIGHT / most.workers, ready = QUEUE_HEIGHT / most.ready;
    int workers_bottom = WORKERS_TOP + WORKERS_HEIGHT;
    buffer_appendf(out, "<h3>%s</h3><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"workers and queue under %s\">",
                   sim_policy_name(s->policy), WIDTH, CHART_HEIGHT, sim_policy_name(s->policy));
    add_nights(out, timeline);
    add_ticks(out, timeline, start_ms);
    add_area(out, timeline, offsetof(struct sim_bucket, workers), workers_bottom, workers, "fill:#9db9ee");
    add_area(out, timeline, offsetof(struct sim_bucket, busy), workers_bottom, workers, "fill:#2c5cc0");
    add_area(out, timeline, offsetof(struct sim_bucket, ready), CHART_BOTTOM, ready, "fill:#d9805f");
    add_scale(out, WORKERS_TOP, workers_bottom, most.workers);
    add_scale(out, QUEUE_TOP, CHART_BOTTOM, most.ready);
    buffer_append_text(out, "</svg>");
}

static void add_timelines(struct buffer *out, const struct scenario *scenario, const struct simulation *simulations,
                          size_t count, int which) {
    struct extent most = {1, 1};
    for (size_t i = 0; i < count; i++)
        for (int bucket = 0; bucket < SIM_BUCKETS; bucket++) {
            most.workers = MAX(most.workers, simulations[i].timelines[which].buckets[bucket].workers);
            most.ready = MAX(most.ready, simulations[i].timelines[which].buckets[bucket].ready);
        }
    buffer_appendf(
        out, "<h2>Pool lipsync, %s</h2><p>Above workers:", which == SIM_WHOLE ? "the whole time" : "the busiest day");
    add_key(out, "#2c5cc0", "busy");
    add_key(out, "#9db9ee", "booting or idle");
    buffer_append_text(out, "; below");
    add_key(out, "#d9805f", "jobs that wait");
    add_key(out, "var(--night)", "batch is held");
    buffer_append_text(out, "</p>");
    for (size_t i = 0; i < count; i++)
        add_timeline(out, &simulations[i], which, scenario->start_ms, most);
}

char *simulation_to_html(const struct scenario *scenario, const struct simulation *simulations, size_t count) {
    struct buffer out = {0};
    buffer_append_text(&out, "<!doctype html><html lang=en><meta charset=utf-8><title>mela simulate: ");
    add_escaped(&out, scenario->name);
    buffer_appendf(&out, "</title>%s<h1>", head);
    add_escaped(&out, scenario->name);
    buffer_appendf(&out, "</h1><p>%zu campaigns, %zu jobs, %.3g days, seed %llu; lipsync on ", scenario->campaign_count,
                   count ? simulations[0].jobs : 0, scenario->days, (unsigned long long)scenario->seed);
    add_escaped(&out, scenario->nodes[POOL_LIPSYNC].type);
    buffer_append_text(&out, ", cpu on ");
    add_escaped(&out, scenario->nodes[POOL_CPU].type);
    buffer_append_text(&out, "</p>");
    add_table(&out, simulations, count);
    add_costs(&out, simulations, count);
    add_timelines(&out, scenario, simulations, count, SIM_BUSIEST_DAY);
    add_timelines(&out, scenario, simulations, count, SIM_WHOLE);
    buffer_append_text(&out, "</html>\n");
    return buffer_steal(&out);
}
