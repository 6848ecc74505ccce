#include "simulate/simulate.h"

#include <math.h>
#include <time.h>

#include "base/buffer.h"
#include "base/memory.h"

enum { DAY_S = 86400 };

/* ---- text ---- */

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

/* "11,408.38" */
static void add_number(struct buffer *out, double value, int decimals) {
    char text[40];
    int length = snprintf(text, sizeof text, "%.*f", decimals, value);
    int whole = decimals ? length - decimals - 1 : length;
    for (int i = 0; i < length; i++)
        buffer_appendf(out, "%s%c", i > 0 && i < whole && (whole - i) % 3 == 0 ? "," : "", text[i]);
}

static void add_dollars(struct buffer *out, double dollars) {
    buffer_append_text(out, "$");
    add_number(out, dollars, dollars < 1000 ? 2 : 0);
}

static void add_percent(struct buffer *out, double part, double whole) {
    double percent = whole > 0 ? 100 * part / whole : 0;
    buffer_appendf(out, percent > 0 && percent < 10 ? "%.1f %%" : "%.0f %%", percent);
}

/* A time of the scenario, on its own clock. */
static void add_time(struct buffer *out, const struct scenario *scenario, double at_s, const char *format) {
    time_t local = (time_t)(scenario->start_ms / 1000 + scenario->offset_s + (int64_t)at_s);
    struct tm tm;
    char text[64];
    if (gmtime_r(&local, &tm) && strftime(text, sizeof text, format, &tm))
        buffer_append_text(out, text);
}

static void add_zone(struct buffer *out, const struct scenario *scenario) {
    int minutes = abs(scenario->offset_s) / 60;
    buffer_appendf(out, "UTC%s%02d:%02d", scenario->offset_s < 0 ? "&minus;" : "+", minutes / 60, minutes % 60);
}

/* ---- the page's look ---- */

/* Colours after Okabe and Ito (2008), which people who see fewer colours tell apart too. */
static const char head[] =
    "<meta name=viewport content=\"width=device-width,initial-scale=1\"><style>\n"
    ":root{color-scheme:light "
    "dark;--ink:#1d2430;--soft:#5b6472;--line:#d9dde4;--back:#fff;--card:#f5f7fa;--night:#e2e8f3;"
    "--busy:#0b4f9e;--idle:#9cc0ea;--wait:#d55e00;--demand:#0072b2;--spot:#e69f00;--reserved:#cc79a7;--cpu:#8a93a0;"
    "--urgent:#d55e00;--batch:#0072b2}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#a3acba;--line:#363f4d;--back:#12161d;--card:#1b212b;"
    "--night:#232d3f;--busy:#7db8f5;--idle:#2f5785;--wait:#f0894a;--demand:#56b4e9;--spot:#f0b73f;--reserved:#d99abf;"
    "--urgent:#f0894a;--batch:#56b4e9}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:1080px;margin:2em auto;"
    "padding:0 1em}\n"
    "h1{font-size:1.6em;line-height:1.25;margin:0}h2{font-size:1.25em;margin:2.2em 0 "
    ".3em}h3{font-size:1em;margin:1.4em 0 0}"
    "h3 small{font-weight:400;color:var(--soft)}p{color:var(--soft);margin:.3em 0}\n"
    ".totals{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.8em;margin:1.2em 0}"
    ".totals div{background:var(--card);border-radius:8px;padding:.7em 1em}.totals b{display:block;font-size:1.5em;"
    "line-height:1.3}.totals span{color:var(--soft);font-size:.87em}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.35em .6em;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th[colspan]{text-align:center}tr:first-child "
    "th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500;"
    "font-size:.85em;"
    "vertical-align:bottom}\n"
    ".bars{display:grid;grid-template-columns:max-content 1fr;gap:.35em .8em;align-items:center;margin:.8em 0}"
    ".bar{display:flex;align-items:center;height:1.25em}.bar i{display:block;height:100%}.bar.thin{height:.8em}"
    ".bar span{padding-left:.5em;white-space:nowrap;font-variant-numeric:tabular-nums}.thin span{font-size:.87em}"
    ".bar .cut{width:5px;margin:0 9px 0 -14px;background:var(--back);transform:skewX(-25deg)}\n"
    "svg{display:block;width:100%;min-width:760px;height:auto}text{font:12px system-ui,sans-serif;fill:var(--soft)}"
    ".grid{stroke:var(--line)}.night{fill:var(--night)}.busy{fill:var(--busy)}.idle{fill:var(--idle)}.wait{fill:var(--"
    "wait)}\n"
    ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .35em 0 0;vertical-align:-1px}"
    ".legend span{white-space:nowrap;margin-right:1.1em}\n"
    "</style>\n";

/* `colour` is one of the variables above. */
static void add_key(struct buffer *out, const char *colour, const char *text) {
    buffer_appendf(out, "<span><i class=key style=\"background:var(--%s)\"></i>%s</span>", colour, text);
}

static const char *const about[SIM_POLICY_COUNT] = {
    [SIM_RULE] = "the rule and the calendar of the scenario",
    [SIM_LINEAR] = "KEDA's default for lists: a worker for five ready jobs, HPA's tolerance of 10 %",
    [SIM_CPU] = "HPA on CPU, target 70 %, never below one worker",
    [SIM_ALWAYS_ON] = "as many workers as the cap, always",
    [SIM_DEADLINE] = "just enough workers to be in time",
};

/* ---- totals ---- */

static void add_totals(struct buffer *out, const struct simulation *s) {
    double paid = s->paid_s[POOL_LIPSYNC];
    buffer_append_text(out, "<div class=totals><div><b>");
    add_dollars(out, simulation_cost(s));
    buffer_append_text(out, "</b><span>of it ");
    add_dollars(out, simulation_pool_cost(s, POOL_LIPSYNC));
    buffer_append_text(out, " pool lipsync, ");
    add_dollars(out, simulation_pool_cost(s, POOL_CPU));
    buffer_append_text(out, " pool cpu</span></div><div><b>");
    add_number(out, paid / 3600, 0);
    buffer_append_text(out, " h</b><span>of lipsync workers paid, ");
    add_percent(out, s->busy_s[POOL_LIPSYNC], paid);
    buffer_append_text(out, " of it busy</span></div>");
    for (int class = 0; class < CLASS_COUNT; class ++) {
        if (s->makespan[class].count == 0)
            continue;
        buffer_append_text(out, "<div><b>");
        add_duration(out, s->makespan[class].p95);
        buffer_appendf(out, "</b><span>until 95 %% of the %zu %s campaigns were done, half in ",
                       s->makespan[class].count, campaign_class_name((enum campaign_class) class));
        add_duration(out, s->makespan[class].p50);
        buffer_append_text(out, "</span></div>");
    }
    buffer_appendf(
        out, "<div><b>%zu</b><span>of %zu campaigns late; %zu spot interruptions sent %zu jobs back</span></div></div>",
        s->missed, s->campaigns, s->interruptions, s->released);
}

static void add_row(struct buffer *out, const struct simulation *s) {
    double paid = s->paid_s[POOL_LIPSYNC];
    buffer_appendf(out, "<tr><td>%s<td>", sim_policy_name(s->policy));
    add_dollars(out, simulation_cost(s));
    buffer_append_text(out, "<td>");
    add_number(out, paid / 3600, 0);
    buffer_append_text(out, " h<td>");
    add_percent(out, s->busy_s[POOL_LIPSYNC], paid);
    for (int class = 0; class < CLASS_COUNT; class ++) {
        buffer_append_text(out, "<td>");
        add_duration(out, s->wait[class].p95);
        buffer_append_text(out, "<td>");
        add_duration(out, s->makespan[class].p50);
        buffer_append_text(out, " / ");
        add_duration(out, s->makespan[class].p95);
    }
    buffer_appendf(out, "<td>%zu<td>%zu\n", s->missed, s->interruptions);
}

static void add_table(struct buffer *out, const struct simulation *simulations, size_t count) {
    buffer_append_text(out, "<h2>By policy</h2><div class=scroll><table><tr><th rowspan=2>policy<th rowspan=2>cost"
                            "<th colspan=2>lipsync workers<th colspan=2>urgent<th colspan=2>batch<th rowspan=2>late"
                            "<th rowspan=2>interrupted<tr><th>paid<th>busy<th>job waits, p95<th>campaign, p50 / p95"
                            "<th>job waits, p95<th>campaign, p50 / p95\n");
    for (size_t i = 0; i < count; i++)
        add_row(out, &simulations[i]);
    buffer_append_text(out,
                       "</table></div><p>A job waits from ready to begun; a campaign lasts from submitted to done; "
                       "p95: 95 % were as quick or quicker. Late: done after it was due. Interrupted: spot "
                       "machines taken back.</p>");
    for (size_t i = 0; count > 1 && i < count; i++)
        buffer_appendf(out, "<p><b>%s</b>: %s.</p>", sim_policy_name(simulations[i].policy),
                       about[simulations[i].policy]);
}

/* ---- bars ---- */

/* The longest bar's length. One that is far beyond all others would leave them nothing: then it is cut. */
static double bar_extent(const double *values, size_t count) {
    double most = 0, second = 0;
    for (size_t i = 0; i < count; i++) {
        second = values[i] > most ? most : MAX(second, values[i]);
        most = MAX(most, values[i]);
    }
    return second > 0 && most > 4 * second ? 1.5 * second : MAX(most, 1e-9);
}

enum { BAR_PERCENT = 80 }; /* of the row; the rest is for the number */

/* A part of a bar. */
static void add_part(struct buffer *out, double value, double whole, double extent, const char *colour,
                     const char *title) {
    double width = value * MIN(1, extent / MAX(whole, 1e-9)) / extent * BAR_PERCENT;
    if (value > 0)
        buffer_appendf(out, "<i style=\"width:%.2f%%;background:var(--%s)\" title=\"%s\"></i>", width, colour, title);
}

static void add_cut(struct buffer *out, double whole, double extent) {
    if (whole > extent)
        buffer_append_text(out, "<i class=cut title=\"cut: it is longer than there is room\"></i>");
}

static const char *const market_titles[MARKET_COUNT] = {
    [MARKET_ON_DEMAND] = "on demand", [MARKET_SPOT] = "spot", [MARKET_RESERVED] = "reserved"};
static const char *const market_colours[MARKET_COUNT] = {
    [MARKET_ON_DEMAND] = "demand", [MARKET_SPOT] = "spot", [MARKET_RESERVED] = "reserved"};

static void add_cost_bar(struct buffer *out, const struct simulation *s, double extent) {
    double whole = simulation_cost(s);
    buffer_appendf(out, "<div>%s</div><div class=bar>", sim_policy_name(s->policy));
    for (int market = 0; market < MARKET_COUNT; market++)
        add_part(out, s->cost[POOL_LIPSYNC][market], whole, extent, market_colours[market], market_titles[market]);
    add_part(out, simulation_pool_cost(s, POOL_CPU), whole, extent, "cpu", "pool cpu");
    add_cut(out, whole, extent);
    buffer_append_text(out, "<span>");
    add_dollars(out, whole);
    buffer_append_text(out, "</span></div>\n");
}

static void add_costs(struct buffer *out, const struct simulation *simulations, size_t count) {
    _cleanup_free_ double *costs = xnew_array(double, count + 1);
    double paid[MARKET_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        costs[i] = simulation_cost(&simulations[i]);
        for (int market = 0; market < MARKET_COUNT; market++)
            paid[market] += simulations[i].cost[POOL_LIPSYNC][market];
    }
    buffer_append_text(out, "<h2>Cost, USD</h2><p class=legend>Pool lipsync: ");
    for (int market = 0; market < MARKET_COUNT; market++)
        if (paid[market] > 0)
            add_key(out, market_colours[market], market_titles[market]);
    buffer_append_text(out, "Pool cpu: ");
    add_key(out, "cpu", "all markets");
    buffer_append_text(out, "</p><div class=bars>\n");
    for (size_t i = 0; i < count; i++)
        add_cost_bar(out, &simulations[i], bar_extent(costs, count));
    buffer_append_text(out, "</div>");
}

static const char *const class_colours[CLASS_COUNT] = {[CLASS_URGENT] = "urgent", [CLASS_BATCH] = "batch"};

static void add_length_bar(struct buffer *out, double seconds, double extent, enum campaign_class class) {
    buffer_append_text(out, "<div class=\"bar thin\">");
    add_part(out, seconds, seconds, extent, class_colours[class], campaign_class_name(class));
    add_cut(out, seconds, extent);
    buffer_append_text(out, "<span>");
    add_duration(out, seconds);
    buffer_append_text(out, "</span></div>");
}

static void add_lengths(struct buffer *out, const struct simulation *simulations, size_t count) {
    _cleanup_free_ double *seconds = xnew_array(double, CLASS_COUNT *count + 1);
    for (size_t i = 0; i < CLASS_COUNT * count; i++)
        seconds[i] = simulations[i / CLASS_COUNT].makespan[i % CLASS_COUNT].p95;
    double extent = bar_extent(seconds, CLASS_COUNT * count);
    buffer_append_text(out, "<h2>Campaigns, from submitted to done, p95</h2><p class=legend>");
    for (int class = 0; class < CLASS_COUNT; class ++)
        add_key(out, class_colours[class], campaign_class_name((enum campaign_class) class));
    buffer_append_text(out, "</p><div class=bars>\n");
    for (size_t i = 0; i < count; i++) {
        buffer_appendf(out, "<div>%s</div><div>", sim_policy_name(simulations[i].policy));
        for (int class = 0; class < CLASS_COUNT; class ++)
            add_length_bar(out, seconds[CLASS_COUNT * i + (size_t)class], extent, (enum campaign_class) class);
        buffer_append_text(out, "</div>\n");
    }
    buffer_append_text(out, "</div>");
}

/* ---- over time ---- */

/* Two strips on one time axis: workers above, jobs that wait below. */
enum { WIDTH = 1000, CHART_LEFT = 46, CHART_RIGHT = 24, WORKERS_TOP = 22, WORKERS_HEIGHT = 96 };
enum { QUEUE_TOP = WORKERS_TOP + WORKERS_HEIGHT + 26, QUEUE_HEIGHT = 64 };
enum { CHART_BOTTOM = QUEUE_TOP + QUEUE_HEIGHT, CHART_HEIGHT = CHART_BOTTOM + 26 };

static double bucket_x(double bucket) { return CHART_LEFT + bucket * (WIDTH - CHART_LEFT - CHART_RIGHT) / SIM_BUCKETS; }

static int workers_of(const struct sim_bucket *bucket) { return bucket->workers; }
static int busy_of(const struct sim_bucket *bucket) { return bucket->busy; }
static int ready_of(const struct sim_bucket *bucket) { return bucket->ready; }

/* The area below a step line. */
static void add_area(struct buffer *out, const struct sim_timeline *timeline,
                     int (*member_of)(const struct sim_bucket *), double bottom, double height, const char *class) {
    double before = 0;
    buffer_appendf(out, "<path class=%s d=\"M%.1f %.1f", class, bucket_x(0), bottom);
    for (int i = 0; i < SIM_BUCKETS; i++) {
        double value = member_of(&timeline->buckets[i]);
        if (value != before)
            buffer_appendf(out, "H%.1fV%.1f", bucket_x(i), bottom - value * height);
        before = value;
    }
    buffer_appendf(out, "H%.1fV%.1fZ\"/>\n", bucket_x(SIM_BUCKETS), bottom);
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

/* At midnights and full hours of the scenario's own clock. */
static void add_ticks(struct buffer *out, const struct scenario *scenario, const struct sim_timeline *timeline) {
    double length = timeline->to_s - timeline->from_s;
    bool hours = length <= 2 * DAY_S;
    double step = hours ? 3 * 3600 : DAY_S * MAX(ceil(length / DAY_S / 10), 1);
    double clock =
        fmod((double)(scenario->start_ms / 1000 + scenario->offset_s) + timeline->from_s, hours ? step : (double)DAY_S);
    double first = clock > 0 ? (hours ? step : DAY_S) - clock : 0;
    for (int tick = 0; first + tick * step <= length; tick++) {
        double at = first + tick * step;
        double x = bucket_x(at / length * SIM_BUCKETS);
        buffer_appendf(out,
                       "<line class=grid x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" "
                       "text-anchor=middle>",
                       x, x, WORKERS_TOP, CHART_BOTTOM, x, CHART_BOTTOM + 20);
        add_time(out, scenario, timeline->from_s + at, hours ? "%H:%M" : "%-d %b");
        buffer_append_text(out, "</text>");
    }
}

/* 1, 2, 3, 4, 5, 6 or 8 times a power of ten: an axis' end that can be halved in the head. */
static double round_up(double value) {
    static const double steps[] = {1, 2, 3, 4, 5, 6, 8, 10};
    double power = pow(10, floor(log10(MAX(value, 1))));
    size_t i = 0;
    while (steps[i] * power < value)
        i++;
    return steps[i] * power;
}

static void add_scale(struct buffer *out, int top, int height, double most, const char *what) {
    buffer_appendf(out, "<text x=\"%d\" y=\"%d\">%s</text>", CHART_LEFT, top - 7, what);
    for (int half = 0; half <= 2; half++) {
        if (half == 1 && fmod(most, 2) != 0)
            continue;
        double y = top + height - height * half / 2.0;
        buffer_appendf(out,
                       "<text x=\"%d\" y=\"%.1f\" text-anchor=end>%.0f</text><line class=grid x1=\"%d\" x2=\"%d\" "
                       "y1=\"%.1f\" y2=\"%.1f\"/>",
                       CHART_LEFT - 7, y + 4, most * half / 2, CHART_LEFT, WIDTH - CHART_RIGHT, y, y);
    }
}

struct extent {
    double workers, ready;
};

static void add_timeline(struct buffer *out, const struct scenario *scenario, const struct simulation *s, int which,
                         struct extent most) {
    const struct sim_timeline *timeline = &s->timelines[which];
    int workers_bottom = WORKERS_TOP + WORKERS_HEIGHT;
    buffer_appendf(out, "<h3>%s <small>", sim_policy_name(s->policy));
    add_dollars(out, simulation_cost(s));
    buffer_appendf(
        out,
        "</small></h3><div class=scroll><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"workers and waiting "
        "jobs over time under %s\">\n",
        WIDTH, CHART_HEIGHT, sim_policy_name(s->policy));
    add_nights(out, timeline);
    add_ticks(out, scenario, timeline);
    add_scale(out, WORKERS_TOP, WORKERS_HEIGHT, most.workers, "workers");
    add_scale(out, QUEUE_TOP, QUEUE_HEIGHT, most.ready, "jobs that wait");
    add_area(out, timeline, workers_of, workers_bottom, WORKERS_HEIGHT / most.workers, "idle");
    add_area(out, timeline, busy_of, workers_bottom, WORKERS_HEIGHT / most.workers, "busy");
    add_area(out, timeline, ready_of, CHART_BOTTOM, QUEUE_HEIGHT / most.ready, "wait");
    buffer_append_text(out, "</svg></div>\n");
}

static struct extent extent_of(const struct simulation *simulations, size_t count, int which) {
    struct extent most = {1, 1};
    for (size_t i = 0; i < count; i++)
        for (int bucket = 0; bucket < SIM_BUCKETS; bucket++) {
            most.workers = MAX(most.workers, simulations[i].timelines[which].buckets[bucket].workers);
            most.ready = MAX(most.ready, simulations[i].timelines[which].buckets[bucket].ready);
        }
    return (struct extent){round_up(most.workers), round_up(most.ready)};
}

static void add_timelines(struct buffer *out, const struct scenario *scenario, const struct simulation *simulations,
                          size_t count, int which) {
    struct extent most = extent_of(simulations, count, which);
    buffer_append_text(out, "<h2>Pool lipsync, ");
    if (which == SIM_BUSIEST_DAY) {
        buffer_append_text(out, "the day with the most work: ");
        add_time(out, scenario, count ? simulations[0].timelines[which].from_s : 0, "%-d %B %Y");
    } else {
        buffer_append_text(out, "the whole time");
    }
    buffer_append_text(out, "</h2><p class=legend>");
    add_key(out, "busy", "busy workers");
    add_key(out, "idle", "workers that boot or idle");
    add_key(out, "wait", "jobs that wait");
    add_key(out, "night", "batch is held");
    buffer_append_text(out, "</p>\n");
    for (size_t i = 0; i < count; i++)
        add_timeline(out, scenario, &simulations[i], which, most);
}

/* ---- the page ---- */

static void add_machines(struct buffer *out, const struct scenario_nodes *nodes, const char *pool) {
    buffer_appendf(out, "%s on ", pool);
    add_escaped(out, nodes->type);
    buffer_appendf(out, " ($%.3g an hour, spot $%.3g, reserved $%.3g", nodes->price[MARKET_ON_DEMAND],
                   nodes->price[MARKET_SPOT], nodes->price[MARKET_RESERVED]);
    if (nodes->reserved)
        buffer_appendf(out, "; %d reserved", nodes->reserved);
    buffer_append_text(out, ")");
}

static void add_subtitle(struct buffer *out, const struct scenario *scenario, size_t jobs) {
    buffer_append_text(out, "<p>");
    add_time(out, scenario, 0, "%-d %B %Y");
    buffer_append_text(out, " to ");
    add_time(out, scenario, scenario->days * DAY_S - 1, "%-d %B %Y");
    buffer_append_text(out, ", times in ");
    add_zone(out, scenario);
    buffer_appendf(out, "; %zu campaigns, ", scenario->campaign_count);
    add_number(out, (double)jobs, 0);
    buffer_appendf(out, " jobs; seed %llu. ", (unsigned long long)scenario->seed);
    add_machines(out, &scenario->nodes[POOL_LIPSYNC], "Lipsync");
    add_machines(out, &scenario->nodes[POOL_CPU], ", cpu");
    buffer_append_text(out, ".</p>\n");
}

char *simulation_to_html(const struct scenario *scenario, const struct simulation *simulations, size_t count) {
    struct buffer out = {0};
    buffer_append_text(&out, "<!doctype html><html lang=en><meta charset=utf-8><title>mela simulate: ");
    add_escaped(&out, scenario->name);
    buffer_appendf(&out, "</title>%s<h1>", head);
    add_escaped(&out, scenario->name);
    buffer_append_text(&out, "</h1>");
    add_subtitle(&out, scenario, count ? simulations[0].jobs : 0);
    if (count > 0)
        add_totals(&out, &simulations[0]);
    add_table(&out, simulations, count);
    add_costs(&out, simulations, count);
    if (count > 1)
        add_lengths(&out, simulations, count);
    add_timelines(&out, scenario, simulations, count, SIM_BUSIEST_DAY);
    add_timelines(&out, scenario, simulations, count, SIM_WHOLE);
    buffer_append_text(&out, "</html>\n");
    return buffer_steal(&out);
}
