#include <string.h>

#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"

/* The steps in the order in which a frame passes them, each with its own block and colour (ANSI 256). */
static const struct step {
    const char *name, *block;
    int colour;
} steps[] = {
    {"fetch", "░", 244}, {"decode", "▒", 39},   {"detect", "▂", 78}, {"landmark", "▄", 114}, {"mel", "▁", 178},
    {"lips", "█", 203},  {"enhance", "▓", 170}, {"blend", "▆", 215}, {"encode", "▇", 75},    {"upload", "▐", 248},
};
static const struct step other = {"other", "▚", 240};

enum { LABEL_MAX = 22, SPAN_LABEL = 9, STEP_COUNT = ARRAY_LENGTH(steps) };

struct trace {
    const json_t *json;
    int64_t start_ms, end_ms;
    int label, width; /* columns of the labels and of the time axis */
    bool colours;
};

static const struct step *step_of(const char *name) {
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (strcmp(steps[i].name, name) == 0)
            return &steps[i];
    return &other;
}

/* Rank in `steps`; unknown ones last. */
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
    json_object_foreach((json_t *)(uintptr_t)steps_ms, name, ms) sum += json_number_value(ms);
    return (int64_t)sum;
}

static double ms_of_rank(const json_t *steps_ms, size_t rank) {
    double sum = 0;
    const char *name;
    json_t *ms;
    json_object_foreach((json_t *)(uintptr_t)steps_ms, name, ms) if (rank_of(name) == rank) sum +=
        json_number_value(ms);
    return sum;
}

/* The steps of a job overlap in time, so each gets the share of the bar that it has of the work. */
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

static int column_of(const struct trace *trace, int64_t ms) {
    double span = (double)MAX(trace->end_ms - trace->start_ms, 1);
    return (int)CLAMP((double)(ms - trace->start_ms) / span * trace->width, 0, trace->width);
}

static void put_times(struct buffer *out, const char *character, int count) {
    for (int i = 0; i < count; i++)
        buffer_append_text(out, character);
}

/* Short spans to the hundredth. */
static void put_span(struct buffer *out, int64_t ms) {
    if (ms < 60000)
        buffer_appendf(out, "%.2f s", (double)ms / 1000);
    else
        terminal_duration(out, (double)ms / 1000);
}

static void print_job(const struct trace *trace, const json_t *job) {
    const char *id = json_get_string(job, "id", ""), *slash = strchr(id, '/'), *name = slash ? slash + 1 : id;
    int64_t ready = json_get_integer(job, "ready_ms", trace->end_ms), claimed = json_get_integer(job, "claimed_ms", 0);
    int64_t finished = json_get_integer(job, "finished_ms", trace->end_ms), start = claimed ? claimed : finished;
    int from = column_of(trace, MIN(ready, start)), run = column_of(trace, start), to = column_of(trace, finished);
    if (claimed && to == run) /* never nothing for work that was done */
        run = MIN(run, trace->width - 1), to = run + 1;
    _cleanup_buffer_ struct buffer out = {0};
    buffer_appendf(&out, "%-*.*s ", trace->label, trace->label, name);
    put_times(&out, " ", MIN(from, run));
    put_times(&out, "·", run - MIN(from, run));
    if (claimed)
        put_steps(&out, trace, json_object_get(job, "steps_ms"), to - run);
    put_times(&out, " ", trace->width - MAX(to, run));
    buffer_append_text(&out, " ");
    if (claimed)
        put_span(&out, finished - claimed);
    int64_t attempt = json_get_integer(job, "attempt", 1);
    if (attempt > 1)
        buffer_appendf(&out, " attempt %lld", (long long)attempt);
    printf("%s\n", out.data);
}

static void print_axis(const struct trace *trace) {
    _cleanup_buffer_ struct buffer end = {0};
    put_span(&end, trace->end_ms - trace->start_ms);
    printf("%-*s 0%*s\n", trace->label, "", trace->width - 1, end.data);
}

static void add_totals(json_t *totals, const json_t *steps_ms) {
    const char *name;
    json_t *ms;
    json_object_foreach((json_t *)(uintptr_t)steps_ms, name, ms)
        json_object_set_new(totals, name, json_real(json_get_number(totals, name, 0) + json_number_value(ms)));
}

/* The legend and the sums in one: a line a step that took time. */
static void print_totals(const struct trace *trace) {
    _cleanup_json_ json_t *totals = json_object();
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(trace->json, "jobs"), i, job)
        add_totals(totals, json_object_get(job, "steps_ms"));
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

static void print_trace(struct trace *trace) {
    const json_t *jobs = json_object_get(trace->json, "jobs");
    size_t i;
    json_t *job;
    trace->start_ms = json_get_integer(trace->json, "start_ms", 0);
    trace->end_ms = json_get_integer(trace->json, "end_ms", trace->start_ms);
    json_array_foreach(jobs, i, job) {
        const char *slash = strchr(json_get_string(job, "id", ""), '/');
        trace->label = MAX(trace->label, (int)MIN(slash ? strlen(slash + 1) : 0, LABEL_MAX));
    }
    trace->width = MAX(terminal_width() - trace->label - SPAN_LABEL - 2, 20);
    printf("%s: %s, %zu jobs\n", json_get_string(trace->json, "campaign", ""),
           json_get_string(trace->json, "state", ""), json_array_size(jobs));
    print_axis(trace);
    json_array_foreach(jobs, i, job) print_job(trace, job);
    print_totals(trace);
}

static bool run(struct cli *cli, struct error *err) {
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), false);
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/trace", id);
    _cleanup_client_ struct client *client = client_open(cli, err);
    _cleanup_json_ json_t *json = client ? client_get(client, path, err) : NULL;
    if (!json)
        return false;
    struct trace trace = {.json = json, .colours = isatty(STDOUT_FILENO)};
    if (cli_json(cli))
        cli_print_json(json);
    else
        print_trace(&trace);
    return true;
}

const struct command command_trace = {
    .name = "trace",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "draw a campaign's journey: every job, when it waited and what it did",
    .help = "One line a job from submission (left) to the end (right), in the order of their starts, then "
            "the time of every "
            "step. --json gives the times themselves.\n\nExample:\n  mela trace diwali-2026-3f9a1c0b2d\n",
    .run = run,
};
