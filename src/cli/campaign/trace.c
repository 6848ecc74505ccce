#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/campaign/timeline.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"

/* The steps in the order in which a frame passes them, each with its own block and colour (ANSI 256). */
static const struct step {
    const char *name, *block;
    int colour;
} steps[] = {
    {"fetch", "░", 244}, {"decode", "▒", 39},   {"detect", "▂", 78},   {"landmark", "▄", 114},
    {"mel", "▁", 178},   {"lips", "█", 203},    {"enhance", "▓", 170}, {"blend", "▆", 215},
    {"text", "▖", 149},  {"denoise", "▙", 209}, {"encode", "▇", 75},   {"upload", "▐", 248},
};
static const struct step other = {"other", "▚", 240};

enum { LABEL_MAX = 22, STEP_COUNT = ARRAY_LENGTH(steps) };
enum { MINUTES_USUAL = 60, MINUTES_MOST = 7 * 24 * 60, CAMPAIGNS_MOST = 200 };

struct trace {
    const json_t *json;
    struct timeline axis;
    bool colours;
};

static const struct step *step_of(const char *name) {
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (strcmp(steps[i].name, name) == 0)
            return &steps[i];
    return &other;
}

/* The step's index in `steps`; STEP_COUNT for an unknown one, which is drawn last. */
static size_t rank_of(const char *name) {
    const struct step *step = step_of(name);
    return step == &other ? STEP_COUNT : (size_t)(step - steps);
}

static void put_blocks(struct buffer *out, const struct trace *trace, const struct step *step, int count) {
    if (count > 0 && trace->colours)
        buffer_appendf(out, "\033[38;5;%dm", step->colour);
    for (int i = 0; i < count; i++)
        buffer_append_text(out, trace->colours ? "█" : step->block);
    if (count > 0 && trace->colours)
        buffer_append_text(out, "\033[0m");
}

static int64_t sum_of(const json_t *steps_ms) {
    double sum = 0;
    const char *name;
    json_t *ms;
    json_object_foreach ((json_t *)(uintptr_t)steps_ms, name, ms)
        sum += json_number_value(ms);
    return (int64_t)sum;
}

static double ms_of_rank(const json_t *steps_ms, size_t rank) {
    double sum = 0;
    const char *name;
    json_t *ms;
    json_object_foreach ((json_t *)(uintptr_t)steps_ms, name, ms)
        if (rank_of(name) == rank)
            sum += json_number_value(ms);
    return sum;
}

/* The steps of a job overlap in time, so the bar does not show when each ran: it shows its share of the work. */
static void put_steps(struct buffer *out, const struct trace *trace, const json_t *steps_ms, int columns) {
    double total = (double)sum_of(steps_ms), before = 0;
    if (total <= 0) {
        put_blocks(out, trace, &other, columns);
        return;
    }
    int drawn = 0;
    for (size_t rank = 0; rank <= STEP_COUNT; rank++) {
        before += ms_of_rank(steps_ms, rank);
        int until = MIN((int)(before / total * columns + 0.5), columns);
        put_blocks(out, trace, rank < STEP_COUNT ? &steps[rank] : &other, until - drawn);
        drawn = MAX(until, drawn);
    }
}

static void trace_print_job(const struct trace *trace, const json_t *job) {
    const struct timeline *axis = &trace->axis;
    const char *id = json_get_string(job, "id", ""), *slash = strchr(id, '/'), *name = slash ? slash + 1 : id;
    int64_t ready = json_get_integer(job, "ready_ms", axis->end_ms), claimed = json_get_integer(job, "claimed_ms", 0);
    int64_t finished = json_get_integer(job, "finished_ms", axis->end_ms), start = claimed ? claimed : finished;
    int from = timeline_column(axis, MIN(ready, start)), run = timeline_column(axis, start),
        to = timeline_column(axis, finished);
    if (claimed && to == run) /* at least one column, so that a short job can be seen too */
        run = MIN(run, axis->width - 1), to = run + 1;
    _cleanup_buffer_ struct buffer out = {0};
    buffer_appendf(&out, "%-*.*s ", axis->label, axis->label, name);
    timeline_repeat(&out, " ", MIN(from, run));
    timeline_repeat(&out, "·", run - MIN(from, run));
    if (claimed)
        put_steps(&out, trace, json_object_get(job, "steps_ms"), to - run);
    timeline_repeat(&out, " ", axis->width - MAX(to, run));
    buffer_append_text(&out, " ");
    if (claimed)
        timeline_span(&out, finished - claimed);
    int64_t attempt = json_get_integer(job, "attempt", 1);
    if (attempt > 1)
        buffer_appendf(&out, " attempt %lld", (long long)attempt);
    printf("%s\n", out.data);
}

static void trace_add_totals(json_t *totals, const json_t *steps_ms) {
    const char *name;
    json_t *ms;
    json_object_foreach ((json_t *)(uintptr_t)steps_ms, name, ms)
        json_object_set_new(totals, name, json_real(json_get_number(totals, name, 0) + json_number_value(ms)));
}

/* Prints a line for each step that took time: its colour, which makes this the legend too, and its sum. */
static void trace_print_totals(const struct trace *trace) {
    _cleanup_json_ json_t *totals = json_object();
    size_t i;
    json_t *job;
    json_array_foreach (json_object_get(trace->json, "jobs"), i, job)
        trace_add_totals(totals, json_object_get(job, "steps_ms"));
    double all = (double)sum_of(totals);
    printf("\nTime by step, all jobs together (the steps of one job overlap; · is waiting for a worker):\n");
    for (size_t rank = 0; rank <= STEP_COUNT; rank++) {
        double ms = ms_of_rank(totals, rank);
        const struct step *step = rank < STEP_COUNT ? &steps[rank] : &other;
        if (ms <= 0)
            continue;
        _cleanup_buffer_ struct buffer out = {0};
        put_blocks(&out, trace, step, 2);
        buffer_appendf(&out, " %-9s %9.2f s  %3.0f %%  ", step->name, ms / 1000, 100 * ms / all);
        put_blocks(&out, trace, step, (int)(ms / all * 30 + 0.5));
        printf("%s\n", out.data);
    }
}

static int label_of(const json_t *items, int least) {
    int label = least;
    size_t i;
    const json_t *item;
    json_array_foreach (items, i, item) {
        const char *id = json_get_string(item, "id", ""), *slash = strchr(id, '/');
        label = MAX(label, (int)MIN(strlen(slash ? slash + 1 : id), LABEL_MAX));
    }
    return label;
}

static void print_trace(struct trace *trace) {
    const json_t *jobs = json_object_get(trace->json, "jobs"), *workers = json_object_get(trace->json, "workers");
    struct timeline *axis = &trace->axis;
    size_t i;
    json_t *job;
    axis->start_ms = json_get_integer(trace->json, "start_ms", 0);
    axis->end_ms = json_get_integer(trace->json, "end_ms", axis->start_ms);
    axis->label = label_of(workers, label_of(jobs, 0));
    timeline_fit(axis);
    _cleanup_buffer_ struct buffer span = {0};
    timeline_span(&span, axis->end_ms - axis->start_ms);
    printf("%s: %s, %zu jobs\n", json_get_string(trace->json, "campaign", ""),
           json_get_string(trace->json, "state", ""), json_array_size(jobs));
    timeline_axis(axis, "0", span.data);
    json_array_foreach (jobs, i, job)
        trace_print_job(trace, job);
    if (json_array_size(workers)) {
        printf("\nWorkers that had its jobs (─ there, █ at one of them):\n");
        timeline_workers(axis, workers, jobs);
    }
    trace_print_totals(trace);
}

static bool trace_campaign(struct cli *cli, struct client *client, struct error *err) {
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), false);
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/trace", id);
    _cleanup_json_ json_t *json = client_get(client, path, err);
    if (!json)
        return false;
    struct trace trace = {.json = json, .colours = isatty(STDOUT_FILENO)};
    if (cli_json(cli))
        cli_print_json(json);
    else
        print_trace(&trace);
    return true;
}

/* ---- the farm ---- */

static json_t *campaigns_since(const json_t *all, int64_t since_ms) {
    json_t *late = json_array(), *campaign;
    size_t i;
    json_array_foreach (all, i, campaign)
        if (json_get_integer(campaign, "finished_ms", INT64_MAX) > since_ms)
            json_array_insert(late, 0, campaign); /* they came newest first */
    return late;
}

/* Where the axis starts: at the first thing that is shown, but not before `since_ms`. */
static int64_t first_ms(const json_t *campaigns, const json_t *workers, int64_t since_ms, int64_t now_ms) {
    int64_t first = now_ms;
    size_t i;
    const json_t *item;
    json_array_foreach (campaigns, i, item)
        first = MIN(first, json_get_integer(item, "submitted_ms", now_ms));
    json_array_foreach (workers, i, item)
        first = MIN(first, json_get_integer(item, "came_ms", now_ms));
    return MAX(first, since_ms);
}

static void trace_print_campaign(const struct timeline *axis, const json_t *campaign) {
    int64_t start = json_get_integer(campaign, "submitted_ms", 0),
            end = json_get_integer(campaign, "finished_ms", axis->end_ms);
    int from = MIN(timeline_column(axis, start), axis->width - 1), to = MAX(timeline_column(axis, end), from + 1);
    _cleanup_buffer_ struct buffer out = {0};
    timeline_repeat(&out, " ", from);
    timeline_repeat(&out, "▆", to - from);
    timeline_repeat(&out, " ", axis->width - to);
    buffer_append_text(&out, " ");
    timeline_span(&out, end - start);
    printf("%-*.*s %s, %s\n", axis->label, axis->label, json_get_string(campaign, "id", ""), out.data,
           json_get_string(campaign, "state", ""));
}

static void trace_print_farm(int64_t start_ms, int64_t end_ms, const json_t *campaigns, const json_t *workers) {
    struct timeline axis = {start_ms, end_ms, label_of(workers, label_of(campaigns, (int)strlen("workers"))), 0};
    size_t i;
    const json_t *campaign;
    char from[32];
    clock_format_iso(start_ms, from);
    snprintf(from + strlen("2026-11-08T12:30:00"), 2, "Z");
    timeline_fit(&axis);
    printf("%zu campaigns, %zu workers\n", json_array_size(campaigns), json_array_size(workers));
    timeline_axis(&axis, from, "now");
    json_array_foreach (campaigns, i, campaign)
        trace_print_campaign(&axis, campaign);
    timeline_workers(&axis, workers, NULL);
}

static bool trace_farm(struct cli *cli, struct client *client, struct error *err) {
    int64_t minutes;
    if (!cli_integer(cli, "last", MINUTES_USUAL, 1, MINUTES_MOST, &minutes, err))
        return false;
    int64_t now_ms = clock_wall_ms(clock_system()), since_ms = now_ms - minutes * 60000;
    _cleanup_free_ char *path = xasprintf("/v1/workers/history?since_ms=%lld", (long long)since_ms);
    _cleanup_json_ json_t *all = client_get_list(client, "/v1/campaigns", CAMPAIGNS_MOST, err);
    _cleanup_json_ json_t *answer = all ? client_get(client, path, err) : NULL;
    if (!answer)
        return false;
    const json_t *workers = json_object_get(answer, "items");
    _cleanup_json_ json_t *campaigns = campaigns_since(all, since_ms);
    int64_t start_ms = first_ms(campaigns, workers, since_ms, now_ms);
    if (cli_json(cli)) {
        _cleanup_json_ json_t *json = json_pack("{s:I,s:I,s:O,s:O}", "start_ms", (json_int_t)start_ms, "end_ms",
                                                (json_int_t)now_ms, "campaigns", campaigns, "workers", workers);
        cli_print_json(json);
    } else {
        trace_print_farm(start_ms, now_ms, campaigns, workers);
    }
    return true;
}

static bool trace_run(struct cli *cli, struct error *err) {
    _cleanup_client_ struct client *client = client_open(cli, err);
    return client && (cli_argument(cli, 0) ? trace_campaign(cli, client, err) : trace_farm(cli, client, err));
}

const struct command command_trace = {
    .name = "trace",
    .arguments = "[ID]",
    .max_arguments = 1,
    .summary = "draw a campaign's journey, or the farm's: who waited and worked when",
    .help = "With an ID: a line for each job, from the submission (left) to the end (right), in the order of their "
            "starts; a line for each worker that had one; then the time of every step. Without an ID: the campaigns "
            "and the workers of the last hour. --json prints the times themselves.\n\n"
            "Examples:\n  mela trace diwali-2026-3f9a1c0b2d\n  mela trace --last 600\n",
    .options = (const struct cli_option[]){{"last", "MINUTES", "without an ID: how far back, default 60"}, {0}},
    .run = trace_run,
};
