#include "cli/campaign/watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/campaign/image_grid.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "farm/plan.h"

enum { QUIET_SECONDS = 5 }; /* after so long without an event, is the campaign held? */
enum { RATE_SECONDS = 20 }; /* frames/s are those of the last so many seconds */
enum { REDRAW_NS = 100 * 1000000, PLAIN_NS = 5 * 1000000000LL }; /* between two drawings: on a terminal, elsewhere */
enum { SNAPSHOT_TRIES = 5 };

/* What one line shows: a language, or, in row 0, the tracking of faces in the master, which all languages share. Of
 * pictures there is row 0 alone, and what it counts are steps of handfuls. */
struct row {
    char *name, *state;                /* the state is "" in row 0 */
    char *shown_state;                 /* the state that was printed last; NULL: none was */
    int64_t frames, of;                /* done, of how many; of 0: not known yet */
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
    struct image_grid *grid; /* of a campaign of pictures */
    json_t *dead;            /* its jobs that died */
    json_t *jobs;            /* job id -> frames done, as counted in its row */
    json_t *campaign;        /* the latest snapshot */
    bool current;            /* the rows show the snapshot and every event since; else a new snapshot is due */
    bool connected;          /* the farm answers */
    bool terminal;           /* stdout is one */
    int drawn_lines, failed_snapshots;
    int64_t drawn_ns;      /* when it was last drawn */
    int64_t shown_held_ms; /* the end of the hold that was printed last */
    int quiet_s;           /* since the last event, or since it was last asked about a hold */
    struct error error;    /* why it ends early; ERR_NONE: it does not */
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
    if (watch->grid)
        image_grid_free(watch->grid);
    json_decref(watch->dead);
    json_decref(watch->jobs);
    json_decref(watch->campaign);
}

static const char *watch_state(const struct watch *watch) {
    return json_get_string(watch->campaign, "state", "running");
}

static void row_set_state(struct row *row, const char *state) {
    char *copy = xstrdup(state);
    free(row->state);
    row->state = copy;
}

static struct row *watch_find_row(struct watch *watch, const char *language) {
    for (size_t i = 0; i < watch->row_count; i++)
        if (strcmp(watch->rows[i].name, language) == 0)
            return &watch->rows[i];
    return NULL;
}

/* ---- what is known of the jobs ---- */

/* Frames or steps of the whole job; 0 when there is no plan yet, or the job has none. */
static int64_t watch_job_frames(const struct watch *watch, const struct job_id *job) {
    if (watch->grid)
        return image_grid_steps(watch->grid, job);
    if (!watch->plan || job->index < 0)
        return 0;
    if (job->kind == KIND_TRACK)
        return (size_t)job->index < watch->plan->segment_count ? watch->plan->segments[job->index].frames : 0;
    const struct plan_language *language = plan_language_find(watch->plan, job->language);
    bool known = job->kind == KIND_DUB && language && (size_t)job->index < language->output_count;
    return known ? language->outputs[job->index].frames : 0;
}

/* Sets how many frames of a job are done. When it starts again there are fewer than before, and its row goes back. */
static void watch_count_frames(struct watch *watch, const struct job_id *job, const char *id, int64_t frames) {
    bool is_first = job->kind == KIND_TRACK || job->kind == KIND_IMAGE;
    struct row *row = is_first ? &watch->rows[0] : watch_find_row(watch, job->language);
    if (!row || (!is_first && job->kind != KIND_DUB))
        return;
    row->frames += frames - json_get_integer(watch->jobs, id, 0);
    json_object_set_new(watch->jobs, id, json_integer(frames));
}

/* Applies what a snapshot or an event says of a job: its "id", and "state" or "progress" or both. */
static void watch_apply_job(struct watch *watch, const json_t *data) {
    const char *id = json_get_string(data, "id", ""), *state = json_get_string(data, "state", "leased");
    const json_t *progress = json_object_get(data, "progress");
    struct job_id job;
    if (!job_id_parse(id, &job))
        return;
    if (watch->grid)
        image_grid_set(watch->grid, &job, state, json_get_integer(progress, "frames", 0));
    if (strcmp(state, "done") == 0)
        watch_count_frames(watch, &job, id, watch_job_frames(watch, &job));
    else if (json_is_object(progress))
        watch_count_frames(watch, &job, id, json_get_integer(progress, "frames", 0));
    else if (strcmp(state, "leased") != 0)
        watch_count_frames(watch, &job, id, 0);
    if (job.kind == KIND_PLAN && strcmp(state, "done") == 0 && !watch->plan)
        watch->current = false; /* the snapshot brings the plan */
}

static void watch_read_languages(struct watch *watch) {
    const json_t *languages = json_object_get(watch->campaign, "languages");
    rows_free(watch);
    watch->row_count = json_array_size(languages) + 1;
    watch->rows = xnew_array(struct row, watch->row_count);
    watch->rows[0].name = xstrdup(watch->grid ? "images" : "faces");
    watch->rows[0].state = xstrdup("");
    for (size_t i = 1; i < watch->row_count; i++) {
        const json_t *language = json_array_get(languages, i - 1);
        watch->rows[i].name = xstrdup(json_get_string(language, "language", "?"));
        watch->rows[i].state = xstrdup(json_get_string(language, "state", "running"));
    }
}

/* A segment is tracked once, and only when some language shows it. */
static int64_t plan_tracked_frames(const struct plan *plan) {
    _cleanup_free_ bool *shown = xnew_array(bool, plan->segment_count);
    int64_t frames = 0;
    for (size_t i = 0; i < plan->language_count; i++)
        for (size_t o = 0; o < plan->languages[i].output_count; o++)
            shown[plan->languages[i].outputs[o].segment] = true; /* within: plan_from_json has checked it */
    for (size_t s = 0; s < plan->segment_count; s++)
        frames += shown[s] ? plan->segments[s].frames : 0;
    return frames;
}

static void watch_read_plan(struct watch *watch) {
    watch->rows[0].of = plan_tracked_frames(watch->plan);
    for (size_t i = 0; i < watch->plan->language_count; i++) {
        const struct plan_language *language = &watch->plan->languages[i];
        struct row *row = watch_find_row(watch, language->language);
        for (size_t o = 0; row && o < language->output_count; o++)
            row->of += language->outputs[o].frames;
    }
}

/* What will not change: the plan of dubs, once there is one, or what the pictures' spec says. */
static void watch_load_document(struct watch *watch) {
    struct error none;
    bool is_images = strcmp(json_get_string(watch->campaign, "workload", ""), "images") == 0;
    if (watch->plan || watch->grid)
        return;
    _cleanup_free_ char *path =
        xasprintf("/v1/campaigns/%s/files/%s", watch->id, is_images ? "spec.json" : "plan.json");
    _cleanup_json_ json_t *document = client_get(watch->client, path, &none);
    if (document && is_images)
        watch->grid = image_grid_new(document);
    else if (document)
        watch->plan = plan_from_json(document, &none);
}

static void watch_keep_dead(struct watch *watch, const json_t *jobs) {
    size_t i;
    json_t *job;
    json_array_clear(watch->dead);
    json_array_foreach (jobs, i, job)
        if (strcmp(json_get_string(job, "state", ""), "dead") == 0)
            json_array_append(watch->dead, job);
}

/* Reads everything anew: at the start, after a broken connection, when the plan has come, and at the end. */
static bool watch_load_snapshot(struct watch *watch, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s", watch->id), *jobs_path = xasprintf("%s/jobs", path);
    json_t *campaign = client_get(watch->client, path, err);
    if (!campaign)
        return false;
    json_decref(watch->campaign);
    watch->campaign = campaign;
    _cleanup_json_ json_t *jobs = client_get_list(watch->client, jobs_path, 0, err);
    if (!jobs)
        return false;
    watch_load_document(watch);
    watch_read_languages(watch);
    if (watch->plan)
        watch_read_plan(watch);
    if (watch->grid)
        watch->rows[0].of = image_grid_all_steps(watch->grid);
    watch_keep_dead(watch, jobs);
    json_object_clear(watch->jobs);
    size_t i;
    json_t *job;
    json_array_foreach (jobs, i, job)
        watch_apply_job(watch, job);
    watch->current = true; /* even without the plan: else one that cannot be read would be asked for at every event */
    return true;
}

/* ---- drawing ---- */

static double row_rate(const struct row *row) {
    int64_t moved = row->seconds ? row->frames - row->history[(row->seconds - 1)] : 0;
    return row->seconds && moved > 0 ? (double)moved / row->seconds : 0;
}

static void row_add_second(struct row *row) {
    memmove(row->history + 1, row->history, sizeof row->history - sizeof row->history[0]);
    row->history[0] = row->frames;
    row->seconds = MIN(row->seconds + 1, RATE_SECONDS);
}

static bool row_is_open(const struct row *row) { return strcmp(row->state, "running") == 0 || row->state[0] == '\0'; }

static void row_describe(struct buffer *out, const struct row *row, const struct image_grid *grid) {
    double rate = row_rate(row);
    if (!row_is_open(row)) {
        buffer_append_text(out, row->state);
        return;
    }
    if (row->of == 0) {
        buffer_append_text(out, "waiting for the plan");
        return;
    }
    buffer_appendf(out, "%3d %%  ", (int)(100 * row->frames / row->of));
    if (grid)
        image_grid_describe(grid, out);
    else
        buffer_appendf(out, "%lld/%lld frames", (long long)row->frames, (long long)row->of);
    if (rate > 0 && row->frames < row->of) {
        buffer_appendf(out, "  %.1f %s/s  ", rate, grid ? "steps" : "frames");
        terminal_duration(out, (double)(row->of - row->frames) / rate);
        buffer_append_text(out, " left");
    }
}

static void watch_describe_held(struct buffer *out, const struct watch *watch, int64_t until_ms) {
    buffer_appendf(out, "%s is ", json_get_string(watch->campaign, "class", ""));
    terminal_held(out, until_ms);
}

static void watch_draw_bars(struct watch *watch) {
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
        row_describe(&out, row, watch->grid);
        buffer_append_text(&out, "\n");
    }
    watch->drawn_lines = (int)watch->row_count;
    if (watch->grid)
        watch->drawn_lines += image_grid_draw(watch->grid, terminal_width() - 1, &out);
    int64_t held_until_ms = json_get_integer(watch->campaign, "held_until_ms", 0);
    buffer_append_text(&out, "\033[K");
    if (!watch->connected)
        buffer_append_text(&out, "the farm does not answer; trying again\r");
    else if (held_until_ms)
        watch_describe_held(&out, watch, held_until_ms), buffer_append_text(&out, "\r");
    fwrite(out.data, 1, out.length, stdout);
}

static void watch_print_held(struct watch *watch) {
    int64_t until_ms = json_get_integer(watch->campaign, "held_until_ms", 0);
    _cleanup_buffer_ struct buffer text = {0};
    if (until_ms == watch->shown_held_ms)
        return;
    if (until_ms)
        watch_describe_held(&text, watch, until_ms);
    printf("%s\n", until_ms ? text.data : "held no more");
    watch->shown_held_ms = until_ms;
}

/* Prints a line for every row whose state has changed; with `all`, for every row that moves. */
static void watch_print_lines(struct watch *watch, bool all) {
    watch_print_held(watch);
    for (size_t i = 0; i < watch->row_count; i++) {
        struct row *row = &watch->rows[i];
        bool changed = row->shown_state && strcmp(row->state, row->shown_state) != 0;
        bool moves = all && row_is_open(row) && row->frames > 0 && row->frames < row->of;
        if (changed || moves) {
            _cleanup_buffer_ struct buffer text = {0};
            row_describe(&text, row, watch->grid);
            printf("%s: %s\n", row->name, text.data);
        }
        free(row->shown_state);
        row->shown_state = xstrdup(row->state);
    }
}

static void watch_draw(struct watch *watch, bool now) {
    int64_t time = clock_monotonic_ns(clock_system());
    int64_t pause = watch->terminal ? REDRAW_NS : PLAIN_NS;
    bool due = time - watch->drawn_ns >= pause;
    if (cli_json(watch->cli) || (watch->terminal && !due && !now))
        return;
    if (watch->terminal)
        watch_draw_bars(watch);
    else
        watch_print_lines(watch, due);
    if (due || watch->terminal)
        watch->drawn_ns = time;
    fflush(stdout);
}

/* ---- listening ---- */

static void watch_apply_campaign(struct watch *watch, const json_t *data) {
    const char *language = json_get_string(data, "language", NULL);
    struct row *row = language ? watch_find_row(watch, language) : NULL;
    if (row)
        row_set_state(row, json_get_string(data, "language_state", row->state));
    else if (strcmp(json_get_string(data, "state", "running"), "running") != 0)
        watch->current = false; /* it has ended; the snapshot says how, for every language */
}

/* Brings the rows up to date. False when the campaign has ended, or when it cannot be known any more whether it has:
 * then watch->error is set. */
static bool watch_refresh(struct watch *watch) {
    struct error err = {0};
    if (watch->current || watch_load_snapshot(watch, &err)) {
        watch->failed_snapshots = 0;
        return strcmp(watch_state(watch), "running") == 0;
    }
    bool lasting = exit_status_of(err.code) != STATUS_UNREACHABLE || ++watch->failed_snapshots >= SNAPSHOT_TRIES;
    if (lasting)
        watch->error = err;
    return !lasting;
}

static bool watch_event(const char *type, const json_t *data, void *context) {
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
        return watch_refresh(watch);
    if (strcmp(type, "campaign") == 0)
        watch_apply_campaign(watch, data);
    else
        watch_apply_job(watch, data);
    bool going = watch_refresh(watch);
    watch_draw(watch, !going);
    return going;
}

/* No event says that a hold begins or ends. When nothing happens, a hold may be why: ask. */
static void watch_ask_hold(struct watch *watch) {
    struct error ignored;
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s", watch->id);
    _cleanup_json_ json_t *campaign = client_get(watch->client, path, &ignored);
    if (campaign)
        json_object_set(watch->campaign, "held_until_ms", json_object_get(campaign, "held_until_ms"));
    watch->quiet_s = 0;
}

static bool watch_tick(bool connected, void *context) {
    struct watch *watch = context;
    if (connected != watch->connected)
        watch->current = false; /* events may have been missed */
    watch->connected = connected;
    if (connected && !watch_refresh(watch))
        return false;
    for (size_t i = 0; i < watch->row_count; i++)
        row_add_second(&watch->rows[i]);
    if (connected && ++watch->quiet_s >= QUIET_SECONDS)
        watch_ask_hold(watch);
    watch_draw(watch, false);
    return true;
}

/* ---- the end ---- */

static int watch_exit_status(const char *state) {
    if (strcmp(state, "done") == 0)
        return STATUS_OK;
    return strcmp(state, "cancelled") == 0 ? STATUS_CANCELLED : STATUS_CAMPAIGN;
}

/* A few of the handfuls that died. */
static void watch_print_dead(const struct watch *watch) {
    enum { SHOWN = 5 };
    size_t i, count = json_array_size(watch->dead);
    json_t *job;
    json_array_foreach (watch->dead, i, job) {
        const json_t *error = json_object_get(job, "error");
        if (i < SHOWN)
            printf("  %s: %s [%s]\n", json_get_string(job, "id", ""), json_get_string(error, "message", ""),
                   json_get_string(error, "code", ""));
    }
    if (count > SHOWN)
        printf("  and %zu more; see mela dead\n", count - SHOWN);
}

static void watch_print_end(const struct watch *watch) {
    int64_t start = json_get_integer(watch->campaign, "submitted_ms", 0);
    int64_t end = json_get_integer(watch->campaign, "finished_ms", start);
    _cleanup_buffer_ struct buffer text = {0};
    terminal_duration(&text, (double)(end - start) / 1000);
    printf("%s: %s after %s\n", watch->id, watch_state(watch), text.data);
    size_t i;
    json_t *language;
    json_array_foreach (json_object_get(watch->campaign, "languages"), i, language) {
        const json_t *error = json_object_get(language, "error");
        if (json_is_object(error))
            printf("  %s: %s [%s]\n", json_get_string(language, "language", ""), json_get_string(error, "message", ""),
                   json_get_string(error, "code", ""));
    }
    if (watch->grid)
        watch_print_dead(watch);
}

static bool watch_listen(struct watch *watch, struct client *events, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/events", watch->id);
    const struct client_listener listener = {watch_event, watch_tick, watch};
    if (!client_listen(events, path, &listener, err))
        return false;
    if (watch->error.code == ERR_NONE)
        return true;
    *err = watch->error;
    return false;
}

static void watch_print_begin(const struct watch *watch) {
    _cleanup_buffer_ struct buffer what = {0};
    if (watch->grid)
        image_grid_describe(watch->grid, &what);
    else
        buffer_appendf(&what, "%zu language%s", watch->row_count - 1, watch->row_count == 2 ? "" : "s");
    printf("%s: running, %s\n", watch->id, what.data);
}

bool watch_campaign(struct cli *cli, const char *id, struct error *err) {
    _cleanup_(watch_free) struct watch watch = {.cli = cli, .id = id, .connected = true};
    _cleanup_client_ struct client *requests = client_open(cli, err), *events = requests ? client_open(cli, err) : NULL;
    if (!events)
        return false;
    watch.client = requests;
    watch.jobs = json_object();
    watch.dead = json_array();
    watch.terminal = isatty(STDOUT_FILENO);
    if (!watch_load_snapshot(&watch, err))
        return false;
    bool running = strcmp(watch_state(&watch), "running") == 0;
    if (running && !watch.terminal && !cli_json(cli))
        watch_print_begin(&watch);
    watch.current = false; /* what happens before the stream opens is missed: take a new snapshot when it is open */
    if (running && !watch_listen(&watch, events, err))
        return false;
    cli_set_status(cli, watch_exit_status(watch_state(&watch)));
    if (cli_json(cli)) {
        _cleanup_free_ char *line = json_line(watch.campaign);
        printf("%s\n", line);
    } else {
        watch_draw(&watch, true);
        watch_print_end(&watch);
    }
    return true;
}

static bool watch_run(struct cli *cli, struct error *err) { return watch_campaign(cli, cli_argument(cli, 0), err); }

const struct command command_watch = {
    .name = "watch",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "follow a campaign to its end",
    .help = "Shows a bar for each language on a terminal, or for all pictures with a character for each job, and plain "
            "lines elsewhere. With --json each event is a line, "
            "and the campaign is the last. Waits up to two minutes for a farm that is being restarted. Exit status: 0 "
            "done, 6 failed or partial, 7 cancelled.\n\nExample:\n  mela watch diwali-2026-3f9a1c0b2d\n",
    .run = watch_run,
};
