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

static json_t *timeline_to_json(const struct simulation *simulation) {
    json_t *list = json_array();
    for (int i = 0; i < SIM_BUCKETS; i++) {
        const struct sim_bucket *bucket = &simulation->timeline[i];
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
                     "hours", tenths(s->end_s / 3600), "timeline", timeline_to_json(s));
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

enum { CHART_LEFT = 44, CHART_RIGHT = 50, CHART_TOP = 8, CHART_HEIGHT = 120, CHART_FOOT = 20 };

static double bucket_x(double bucket) { return CHART_LEFT + bucket * (WIDTH - CHART_LEFT - CHART_RIGHT) / SIM_BUCKETS; }

static double chart_y(double value, double most) { return CHART_TOP + CHART_HEIGHT * (1 - value / most); }

/* A step line, or the area below it; `member` is the offset of an int in struct sim_bucket. */
static void add_steps(struct buffer *out, const struct simulation *s, size_t member, double most, bool area,
                      const char *style) {
    buffer_appendf(out, "<path style=\"%s\" d=\"M%.1f %.1f", style, bucket_x(0), chart_y(0, most));
    double before = 0;
    for (int i = 0; i < SIM_BUCKETS; i++) {
        double value = *(const int *)((const char *)&s->timeline[i] + member);
        if (value != before)
            buffer_appendf(out, "H%.1fV%.1f", bucket_x(i), chart_y(value, most));
        before = value;
    }
    buffer_appendf(out, "H%.1f", bucket_x(SIM_BUCKETS));
    if (area)
        buffer_appendf(out, "V%.1fZ", chart_y(0, most));
    buffer_append_text(out, "\"/>");
}

static void add_nights(struct buffer *out, const struct simulation *s) {
    for (int i = 0, first; i < SIM_BUCKETS; i++) {
        if (!s->timeline[i].held)
            continue;
        for (first = i; i + 1 < SIM_BUCKETS && s->timeline[i + 1].held;)
            i++;
        buffer_appendf(out, "<rect class=night x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", bucket_x(first),
                       CHART_TOP, bucket_x(i + 1) - bucket_x(first), CHART_HEIGHT);
    }
}

static void add_days(struct buffer *out, const struct simulation *s, int64_t start_ms) {
    double days = s->end_s / 86400;
    int step = (int)MAX(ceil(days / 10), 1);
    for (int day = 0; day < days; day += step) {
        time_t time = (time_t)(start_ms / 1000 + 43200) + day * (time_t)86400;
        struct tm tm;
        char text[16] = "";
        if (gmtime_r(&time, &tm))
            strftime(text, sizeof text, "%d %b", &tm);
        double x = bucket_x(day / days * SIM_BUCKETS);
        buffer_appendf(
            out, "<line class=grid x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\">%s</text>", x,
            x, CHART_TOP, CHART_TOP + CHART_HEIGHT, x, CHART_TOP + CHART_HEIGHT + 15, text);
    }
}

static void add_axis(struct buffer *out, double most_workers, double most_ready) {
    for (int i = 0; i <= 1; i++)
        buffer_appendf(out,
                       "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text><text x=\"%d\" y=\"%.1f\" "
                       "style=\"fill:#d1603d\">%.0f</text>",
                       CHART_LEFT - 6, chart_y(i, 1) + 5, i * most_workers, WIDTH - CHART_RIGHT + 6, chart_y(i, 1) + 5,
                       i * most_ready);
}

static void add_timeline(struct buffer *out, const struct simulation *s, int64_t start_ms, double most_workers,
                         double most_ready) {
    buffer_appendf(out, "<h2>%s</h2><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"workers and queue under %s\">",
                   sim_policy_name(s->policy), WIDTH, CHART_TOP + CHART_HEIGHT + CHART_FOOT,
                   sim_policy_name(s->policy));
    add_nights(out, s);
    add_days(out, s, start_ms);
    add_steps(out, s, offsetof(struct sim_bucket, workers), most_workers, true, "fill:#3b6fd4;fill-opacity:.25");
    add_steps(out, s, offsetof(struct sim_bucket, busy), most_workers, true, "fill:#3b6fd4");
    add_steps(out, s, offsetof(struct sim_bucket, ready), most_ready, false,
              "fill:none;stroke:#d1603d;stroke-width:1.3");
    add_axis(out, most_workers, most_ready);
    buffer_append_text(out, "</svg>");
}

static void add_timelines(struct buffer *out, const struct scenario *scenario, const struct simulation *simulations,
                          size_t count) {
    double most_workers = 1, most_ready = 1;
    for (size_t i = 0; i < count; i++)
        for (int bucket = 0; bucket < SIM_BUCKETS; bucket++) {
            most_workers = MAX(most_workers, simulations[i].timeline[bucket].workers);
            most_ready = MAX(most_ready, simulations[i].timeline[bucket].ready);
        }
    buffer_append_text(out, "<h2>Pool lipsync over time</h2><p>Workers (left)");
    add_key(out, "#3b6fd4", "busy");
    add_key(out, "#cedbf4", "booting or idle");
    add_key(out, "#d1603d", "jobs that wait (right)");
    add_key(out, "var(--night)", "batch is held");
    buffer_append_text(out, "</p>");
    for (size_t i = 0; i < count; i++)
        add_timeline(out, &simulations[i], scenario->start_ms, most_workers, most_ready);
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
    add_timelines(&out, scenario, simulations, count);
    buffer_append_text(&out, "</html>\n");
    return buffer_steal(&out);
}
