#include "cli/watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "farm/plan.h"

enum { QUIET_SECONDS = 5 }; /* without an event; then it is asked whether the campaign is held */
enum { RATE_SECONDS = 20, REDRAW_NS = 100 * 1000000, PLAIN_NS = 5 * 1000000000LL, SNAPSHOT_TRIES = 5 };

/* A language, or, as row 0, what all languages share: the faces found in the master. */
struct row {
    char *name, *state, *shown_state;
    int64_t frames, of;                /* of 0: not known yet */
    int64_t history[RATE_SECONDS + 1]; /* frames at each of the last seconds */
    int seconds;                       /* how many of them there are */
};

struct watch {
    struct cli *cli;
    struct client *client; /* for requests while the events' own client listens */
    const char *id;
    struct row *rows;
    size_t row_count;
    struct plan *plan;
    json_t *jobs;     /* job id -> frames done, as counted in its row */
    json_t *campaign; /* the latest snapshot */
    bool current;     /* rows show the snapshot and every event since */
    bool connected, terminal;
    int drawn_lines, failed_snapshots;
    int64_t drawn_ns, shown_held_ms;
    int quiet_s; /* since the last event or look */
    struct error error;
};

static void rows_free(struct watch *watch) {
    for (size_t i = 0; i < watch->row_count; i++) {
        free(watch->rows[i].name);
        free(watch->rows[i].state);
        free(watch->rows[i].shown_state);
    }
    free(watch->rows);
    watch->rows = NULL;
    watch->row_count = 0;
}

static void watch_free(struct watch *watch) {
    rows_free(watch);
    if (watch->plan)
        plan_free(watch->plan);
    json_decref(watch->jobs);
    json_decref(watch->campaign);
}

static const char *state_of(const struct watch *watch) { return json_get_string(watch->campaign, "state", "running"); }

static void set_state(struct row *row, const char *state) {
    char *copy = xstrdup(state);
    free(row->state);
    row->state = copy;
}

static struct row *find_row(struct watch *watch, const char *language) {
    for (size_t i = 0; i < watch->row_count; i++)
        if (strcmp(watch->rows[i].name, language) == 0)
            return &watch->rows[i];
    return NULL;
}

/* ---- what is known of the jobs ---- */

/* Frames of a whole job, 0 when the plan does not say. */
static int64_t frames_of(const struct watch *watch, const struct job_id *job) {
    if (!watch->plan || job->index < 0)
        return 0;
    if (job->kind == KIND_TRACK)
        return (size_t)job->index < watch->plan->segment_count ? watch->plan->segments[job->index].frames : 0;
    const struct plan_language *language = plan_language_find(watch->plan, job->language);
    bool known = job->kind == KIND_DUB && language && (size_t)job->index < language->output_count;
    return known ? language->outputs[job->index].frames : 0;
}

/* Counts a job's frames in its row; a job that starts again takes its frames back. */
static void count_frames(struct watch *watch, const struct job_id *job, const char *id, int64_t frames) {
    struct row *row = job->kind == KIND_TRACK ? &watch->rows[0] : find_row(watch, job->language);
    if (!row || (job->kind != KIND_TRACK && job->kind != KIND_DUB))
        return;
    row->frames += frames - json_get_integer(watch->jobs, id, 0);
    json_object_set_new(watch->jobs, id, json_integer(frames));
}

/* From a snapshot or an event: both have "id", and either "state" or "progress". */
static void take_job(struct watch *watch, const json_t *data) {
    const char *id = json_get_string(data, "id", ""), *state = json_get_string(data, "state", "leased");
    const json_t *progress = json_object_get(data, "progress");
    struct job_id job;
    if (!job_id_parse(id, &job))
        return;
    if (strcmp(state, "done") == 0)
        count_frames(watch, &job, id, frames_of(watch, &job));
    else if (json_is_object(progress))
        count_frames(watch, &job, id, json_get_integer(progress, "frames", 0));
    else if (strcmp(state, "leased") != 0)
        count_frames(watch, &job, id, 0);
    if (job.kind == KIND_PLAN && strcmp(state, "done") == 0 && !watch->plan)
        watch->current = false; /* the snapshot brings the plan */
}

static void take_languages(struct watch *watch) {
    const json_t *languages = json_object_get(watch->campaign, "languages");
    rows_free(watch);
    watch->row_count = json_array_size(languages) + 1;
    watch->rows = xnew_array(struct row, watch->row_count);
    watch->rows[0].name = xstrdup("faces");
    watch->rows[0].state = xstrdup("");
    for (size_t i = 1; i < watch->row_count; i++) {
        const json_t *language = json_array_get(languages, i - 1);
        watch->rows[i].name = xstrdup(json_get_string(language, "language", "?"));
        watch->rows[i].state = xstrdup(json_get_string(language, "state", "running"));
    }
}

/* Every segment that some language shows is tracked once. */
static void take_plan(struct watch *watch) {
    for (size_t s = 0; s < watch->plan->segment_count; s++)
        watch->rows[0].of += watch->plan->segments[s].frames;
    for (size_t i = 0; i < watch->plan->language_count; i++) {
        const struct plan_language *language = &watch->plan->languages[i];
        struct row *row = find_row(watch, language->language);
        for (size_t o = 0; row && o < language->output_count; o++)
            row->of += language->outputs[o].frames;
    }
}

/* Reads everything anew: at first, after a broken connection, and when the plan has come. */
static bool take_snapshot(struct watch *watch, struct error *err) {
    struct error none;
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s", watch->id), *jobs_path = xasprintf("%s/jobs", path);
    _cleanup_free_ char *plan_path = xasprintf("%s/files/plan.json", path);
    json_t *campaign = client_get(watch->client, path, err);
    if (!campaign)
        return false;
    json_decref(watch->campaign);
    watch->campaign = campaign;
    _cleanup_json_ json_t *jobs = client_get_list(watch->client, jobs_path, 0, err);
    if (!jobs)
        return false;
    _cleanup_json_ json_t *plan = watch->plan ? NULL : client_get(watch->client, plan_path, &none);
    if (plan)
        watch->plan = plan_from_json(plan, &none);
    take_languages(watch);
    if (watch->plan)
        take_plan(watch);
    json_object_clear(watch->jobs);
    watch->current = true; /* before the jobs, which may find that the plan is missing */
    size_t i;
    json_t *job;
    json_array_foreach (jobs, i, job)
        take_job(watch, job);
    watch->current = true;
    return true;
}

/* ---- drawing ---- */

static double rate_of(const struct row *row) {
    int64_t moved = row->seconds ? row->frames - row->history[(row->seconds - 1)] : 0;
    return row->seconds && moved > 0 ? (double)moved / row->seconds : 0;
}

static void take_second(struct row *row) {
    memmove(row->history + 1, row->history, sizeof row->history - sizeof row->history[0]);
    row->history[0] = row->frames;
    row->seconds = MIN(row->seconds + 1, RATE_SECONDS);
}

static bool is_open(const struct row *row) { return strcmp(row->state, "running") == 0 || row->state[0] == '\0'; }

static void describe(struct buffer *out, const struct row *row) {
    double rate = rate_of(row);
    if (!is_open(row)) {
        buffer_append_text(out, row->state);
        return;
    }
    if (row->of == 0) {
        buffer_append_text(out, "waiting for the plan");
        return;
    }
    buffer_appendf(out, "%3d %%  %lld/%lld frames", (int)(100 * row->frames / row->of), (long long)row->frames,
                   (long long)row->of);
    if (rate > 0 && row->frames < row->of) {
        buffer_appendf(out, "  %.1f frames/s  ", rate);
        terminal_duration(out, (double)(row->of - row->frames) / rate);
        buffer_append_text(out, " left");
    }
}

static void describe_held(struct buffer *out, const struct watch *watch, int64_t until_ms) {
    buffer_appendf(out, "%s is ", json_get_string(watch->campaign, "class", ""));
    terminal_held(out, until_ms);
}

static void draw_bars(struct watch *watch) {
    _cleanup_buffer_ struct buffer out = {0};
    if (watch->drawn_lines)
        buffer_appendf(&out, "\033[%dA", watch->drawn_lines);
    int width = CLAMP(terminal_width() - 62, 8, 40);
    for (size_t i = 0; i < watch->row_count; i++) {
        const struct row *row = &watch->rows[i];
        bool done = strcmp(row->state, "done") == 0;
        buffer_appendf(&out, "\033[K%-7s ", row->name);
        terminal_bar(&out, done ? 1 : row->of ? (double)row->frames / (double)row->of : 0, width);
        buffer_append_text(&out, "  ");
        describe(&out, row);
        buffer_append_text(&out, "\n");
    }
    int64_t held_until_ms = json_get_integer(watch->campaign, "held_until_ms", 0);
    buffer_append_text(&out, "\033[K");
    if (!watch->connected)
        buffer_append_text(&out, "the farm does not answer; trying again\r");
    else if (held_until_ms)
        describe_held(&out, watch, held_until_ms), buffer_append_text(&out, "\r");
    watch->drawn_lines = (int)watch->row_count;
    fwrite(out.data, 1, out.length, stdout);
}

static void print_held(struct watch *watch) {
    int64_t until_ms = json_get_integer(watch->campaign, "held_until_ms", 0);
    _cleanup_buffer_ struct buffer text = {0};
    if (until_ms == watch->shown_held_ms)
        return;
    if (until_ms)
        describe_held(&text, watch, until_ms);
    printf("%s\n", until_ms ? text.data : "held no more");
    watch->shown_held_ms = until_ms;
}

/* A line for every row whose state changed, or all that move, every few seconds. */
static void print_lines(struct watch *watch, bool all) {
    print_held(watch);
    for (size_t i = 0; i < watch->row_count; i++) {
        struct row *row = &watch->rows[i];
        bool changed = row->shown_state && strcmp(row->state, row->shown_state) != 0;
        bool moves = all && is_open(row) && row->frames > 0 && row->frames < row->of;
        if (changed || moves) {
            _cleanup_buffer_ struct buffer text = {0};
            describe(&text, row);
            printf("%s: %s\n", row->name, text.data);
        }
        free(row->shown_state);
        row->shown_state = xstrdup(row->state);
    }
}

static void draw(struct watch *watch, bool now) {
    int64_t time = clock_monotonic_ns(clock_system());
    int64_t pause = watch->terminal ? REDRAW_NS : PLAIN_NS;
    bool due = time - watch->drawn_ns >= pause;
    if (cli_json(watch->cli) || (watch->terminal && !due && !now))
        return;
    if (watch->terminal)
        draw_bars(watch);
    else
        print_lines(watch, due);
    if (due || watch->terminal)
        watch->drawn_ns = time;
    fflush(stdout);
}

/* ---- listening ---- */

static void take_campaign_event(struct watch *watch, const json_t *data) {
    const char *language = json_get_string(data, "language", NULL);
    struct row *row = language ? find_row(watch, language) : NULL;
    if (row)
        set_state(row, json_get_string(data, "language_state", row->state));
    else if (strcmp(json_get_string(data, "state", "running"), "running") != 0)
        watch->current = false; /* ended; the snapshot tells how, for every language */
}

/* Brings the rows up to date. True while the campaign runs; *error is set when that cannot be known any more.
 */
static bool refresh(struct watch *watch) {
    struct error err = {0};
    if (watch->current || take_snapshot(watch, &err)) {
        watch->failed_snapshots = 0;
        return strcmp(state_of(watch), "running") == 0;
    }
    bool lasting = exit_status_of(err.code) != STATUS_UNREACHABLE || ++watch->failed_snapshots >= SNAPSHOT_TRIES;
    if (lasting)
        watch->error = err;
    return !lasting;
}

static bool on_event(const char *type, const json_t *data, void *context) {
    struct watch *watch = context;
    watch->connected = true;
    watch->quiet_s = 0;
    if (cli_json(watch->cli)) {
        _cleanup_json_ json_t *event = json_pack("{s:s,s:O}", "type", type, "data", data);
        _cleanup_free_ char *line = json_line(event);
        printf("%s\n", line);
        fflush(stdout);
    }
    if (!watch->current)
        return refresh(watch);
    if (strcmp(type, "campaign") == 0)
        take_campaign_event(watch, data);
    else
        take_job(watch, data);
    bool going = refresh(watch);
    draw(watch, !going);
    return going;
}

/* No event tells of a hold that begins or ends: when nothing happens it may be why. */
static void look_for_hold(struct watch *watch) {
    struct error ignored;
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s", watch->id);
    _cleanup_json_ json_t *campaign = client_get(watch->client, path, &ignored);
    if (campaign)
        json_object_set(watch->campaign, "held_until_ms", json_object_get(campaign, "held_until_ms"));
    watch->quiet_s = 0;
}

static bool on_tick(bool connected, void *context) {
    struct watch *watch = context;
    if (connected != watch->connected)
        watch->current = false; /* events may have been missed */
    watch->connected = connected;
    if (connected && !refresh(watch))
        return false;
    for (size_t i = 0; i < watch->row_count; i++)
        take_second(&watch->rows[i]);
    if (connected && ++watch->quiet_s >= QUIET_SECONDS)
        look_for_hold(watch);
    draw(watch, false);
    return true;
}

/* ---- the end ---- */

static int status_of(const char *state) {
    if (strcmp(state, "done") == 0)
        return STATUS_OK;
    return strcmp(state, "cancelled") == 0 ? STATUS_CANCELLED : STATUS_CAMPAIGN;
}

static void print_end(const struct watch *watch) {
    int64_t start = json_get_integer(watch->campaign, "submitted_ms", 0);
    int64_t end = json_get_integer(watch->campaign, "finished_ms", start);
    _cleanup_buffer_ struct buffer text = {0};
    terminal_duration(&text, (double)(end - start) / 1000);
    printf("%s: %s after %s\n", watch->id, state_of(watch), text.data);
    size_t i;
    json_t *language;
    json_array_foreach (json_object_get(watch->campaign, "languages"), i, language) {
        const json_t *error = json_object_get(language, "error");
        if (json_is_object(error))
            printf("  %s: %s [%s]\n", json_get_string(language, "language", ""), json_get_string(error, "message", ""),
                   json_get_string(error, "code", ""));
    }
}

static bool listen(struct watch *watch, struct client *events, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/events", watch->id);
    const struct client_listener listener = {on_event, on_tick, watch};
    if (!client_listen(events, path, &listener, err))
        return false;
    if (watch->error.code == ERR_NONE)
        return true;
    *err = watch->error;
    return false;
}

bool watch_campaign(struct cli *cli, const char *id, struct error *err) {
    _cleanup_(watch_free) struct watch watch = {.cli = cli, .id = id, .connected = true};
    _cleanup_client_ struct client *requests = client_open(cli, err), *events = requests ? client_open(cli, err) : NULL;
    if (!events)
        return false;
    watch.client = requests;
    watch.jobs = json_object();
    watch.terminal = isatty(STDOUT_FILENO);
    if (!take_snapshot(&watch, err))
        return false;
    bool running = strcmp(state_of(&watch), "running") == 0;
    if (running && !watch.terminal && !cli_json(cli))
        printf("%s: running, %zu language%s\n", id, watch.row_count - 1, watch.row_count == 2 ? "" : "s");
    watch.current = false; /* events before the stream opens are missed: look again at its first sign of life */
    if (running && !listen(&watch, events, err))
        return false;
    cli_set_status(cli, status_of(state_of(&watch)));
    if (cli_json(cli)) {
        _cleanup_free_ char *line = json_line(watch.campaign);
        printf("%s\n", line);
    } else {
        draw(&watch, true);
        print_end(&watch);
    }
    return true;
}

static bool run(struct cli *cli, struct error *err) { return watch_campaign(cli, cli_argument(cli, 0), err); }

const struct command command_watch = {
    .name = "watch",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "follow a campaign to its end",
    .help = "One bar a language on a terminal, plain lines elsewhere, every event as a line with --json (the "
            "last line is "
            "the campaign). A farm that is restarted is waited for, up to two minutes. Exit status: 0 done, "
            "6 failed or "
            "partial, 7 cancelled.\n\nExample:\n  mela watch diwali-2026-3f9a1c0b2d\n",
    .run = run,
};
