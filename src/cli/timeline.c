#include "cli/timeline.h"

#include <string.h>

#include "base/memory.h"
#include "cli/terminal.h"

void timeline_fit(struct timeline *timeline) {
    timeline->width = MAX(terminal_width() - timeline->label - TIMELINE_NOTE - 2, 20);
}

int timeline_column(const struct timeline *timeline, int64_t ms) {
    double span = (double)MAX(timeline->end_ms - timeline->start_ms, 1);
    return (int)CLAMP((double)(ms - timeline->start_ms) / span * timeline->width, 0, timeline->width);
}

void timeline_repeat(struct buffer *out, const char *character, int count) {
    for (int i = 0; i < count; i++)
        buffer_append_text(out, character);
}

void timeline_span(struct buffer *out, int64_t ms) {
    if (ms < 60000)
        buffer_appendf(out, "%.2f s", (double)ms / 1000);
    else
        terminal_duration(out, (double)ms / 1000);
}

void timeline_axis(const struct timeline *timeline, const char *from, const char *to) {
    printf("%-*s %s%*s\n", timeline->label, "", from, timeline->width - (int)strlen(from), to);
}

static int64_t gone_of(const json_t *worker) { return json_get_integer(worker, "gone_ms", INT64_MAX); }

static int living_at(const json_t *workers, int64_t ms) {
    int count = 0;
    size_t i;
    const json_t *worker;
    json_array_foreach (workers, i, worker)
        count += json_get_integer(worker, "came_ms", 0) <= ms && gone_of(worker) > ms;
    return count;
}

/* The most in each column: the number rises only where a column begins and where a worker comes. */
static int *count_workers(const struct timeline *timeline, const json_t *workers, int *most) {
    int *counts = xnew_array(int, timeline->width);
    double step = (double)(timeline->end_ms - timeline->start_ms) / timeline->width;
    size_t i;
    const json_t *worker;
    for (int column = 0; column < timeline->width; column++)
        counts[column] = living_at(workers, timeline->start_ms + (int64_t)(column * step));
    json_array_foreach (workers, i, worker) {
        int64_t came = json_get_integer(worker, "came_ms", 0);
        int column = timeline_column(timeline, came);
        if (came >= timeline->start_ms && column < timeline->width)
            counts[column] = MAX(counts[column], living_at(workers, came));
    }
    *most = 0;
    for (int column = 0; column < timeline->width; column++)
        *most = MAX(*most, counts[column]);
    return counts;
}

static void print_counts(const struct timeline *timeline, const json_t *workers) {
    static const char *const heights[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    int most, last = ARRAY_LENGTH(heights);
    _cleanup_free_ int *counts = count_workers(timeline, workers, &most);
    _cleanup_buffer_ struct buffer out = {0};
    for (int column = 0; column < timeline->width; column++)
        buffer_append_text(&out, counts[column] ? heights[(counts[column] * last - 1) / MAX(most, 1)] : " ");
    printf("%-*s %s at most %d\n", timeline->label, "workers", out.data, most);
}

/* Never nothing for what was there. */
static void mark(const struct timeline *timeline, const char **cells, int64_t from_ms, int64_t to_ms,
                 const char *cell) {
    int from = timeline_column(timeline, from_ms), to = timeline_column(timeline, to_ms);
    if (to_ms < timeline->start_ms || from_ms > timeline->end_ms)
        return;
    from = MIN(from, timeline->width - 1);
    for (int column = from; column < MAX(to, from + 1); column++)
        cells[column] = cell;
}

static void print_worker(const struct timeline *timeline, const json_t *worker, const json_t *jobs) {
    const char *id = json_get_string(worker, "id", "");
    int64_t came = json_get_integer(worker, "came_ms", 0), gone = gone_of(worker);
    _cleanup_free_ const char **cells = xnew_array(const char *, timeline->width);
    _cleanup_buffer_ struct buffer out = {0};
    int count = 0;
    for (int column = 0; column < timeline->width; column++)
        cells[column] = " ";
    mark(timeline, cells, came, gone, "─");
    size_t i;
    const json_t *job;
    json_array_foreach (jobs, i, job) {
        if (strcmp(json_get_string(job, "worker", ""), id) != 0 || json_is_null(json_object_get(job, "claimed_ms")))
            continue;
        count++;
        mark(timeline, cells, json_get_integer(job, "claimed_ms", 0),
             json_get_integer(job, "finished_ms", timeline->end_ms), "█");
    }
    for (int column = 0; column < timeline->width; column++)
        buffer_append_text(&out, cells[column]);
    if (jobs)
        buffer_appendf(&out, " %d job%s", count, count == 1 ? "" : "s");
    else
        buffer_append_text(&out, " "), timeline_span(&out, MIN(gone, timeline->end_ms) - came);
    printf("%-*.*s %s%s\n", timeline->label, timeline->label, id, out.data,
           json_is_true(json_object_get(worker, "lost")) ? ", lost" : "");
}

void timeline_workers(const struct timeline *timeline, const json_t *workers, const json_t *jobs) {
    size_t i;
    const json_t *worker;
    print_counts(timeline, workers);
    json_array_foreach (workers, i, worker)
        print_worker(timeline, worker, jobs);
}
