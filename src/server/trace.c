/* GET /v1/campaigns/{id}/trace: when each job waited and ran, for the waterfall of `mela trace`. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "server/handlers.h"
#include "server/reply.h"

enum { TRACE_PAGE = 1000 };

static void copy_members(json_t *to, const json_t *from, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(from, names[i]);
        json_object_set(to, names[i], value ? value : json_null());
    }
}

static json_t *trace_job(const json_t *job) {
    static const char *const times[] = {"id",      "kind",     "language",   "state",      "worker",
                                        "attempt", "ready_ms", "claimed_ms", "finished_ms"};
    static const char *const results[] = {"steps_ms", "frames"};
    json_t *out = json_object();
    copy_members(out, job, times, ARRAY_LENGTH(times));
    copy_members(out, json_object_get(job, "report"), results, ARRAY_LENGTH(results));
    return out;
}

static bool trace_collect(struct queue *queue, const char *campaign, json_t *jobs, struct error *err) {
    _cleanup_free_ char *cursor = NULL;
    do {
        _cleanup_json_ json_t *page = queue_jobs(queue, campaign, cursor, TRACE_PAGE, err);
        if (!page)
            return false;
        const json_t *job;
        size_t i;
        json_array_foreach (json_object_get(page, "items"), i, job)
            json_array_append_new(jobs, trace_job(job));
        free(cursor);
        cursor = xstrdup(json_get_string(page, "next", NULL));
    } while (cursor);
    return true;
}

/* By the time of the claim, those not claimed yet last; then by id. */
static int trace_order(const void *a, const void *b) {
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int64_t left_ms = json_get_integer(left, "claimed_ms", INT64_MAX),
            right_ms = json_get_integer(right, "claimed_ms", INT64_MAX);
    if (left_ms != right_ms)
        return left_ms < right_ms ? -1 : 1;
    return strcmp(json_get_string(left, "id", ""), json_get_string(right, "id", ""));
}

static json_t *trace_sorted(const json_t *jobs) {
    size_t count = json_array_size(jobs);
    _cleanup_free_ json_t **items = xnew_array(json_t *, count + 1);
    for (size_t i = 0; i < count; i++)
        items[i] = json_array_get(jobs, i);
    qsort(items, count, sizeof(json_t *), trace_order);
    json_t *sorted = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, items[i]);
    return sorted;
}

/* Of the workers of that time, those that have or last had a job of it. */
static json_t *trace_workers(const json_t *history, const json_t *jobs) {
    _cleanup_json_ json_t *names = json_object();
    json_t *workers = json_array(), *item;
    size_t i;
    json_array_foreach (jobs, i, item)
        if (json_is_string(json_object_get(item, "worker")))
            json_object_set_new(names, json_get_string(item, "worker", ""), json_true());
    json_array_foreach (history, i, item)
        if (json_object_get(names, json_get_string(item, "id", "")))
            json_array_append(workers, item);
    return workers;
}

bool campaign_trace(struct request *request, struct error *err) {
    const char *id = request->arguments[0];
    struct queue *queue = request_queue(request, err);
    _cleanup_json_ json_t *campaign = queue ? queue_campaign(queue, id, err) : NULL, *jobs = json_array();
    if (!campaign || !trace_collect(queue, id, jobs, err))
        return false;
    int64_t start_ms = json_get_integer(campaign, "submitted_ms", 0),
            end_ms = json_get_integer(campaign, "finished_ms", clock_wall_ms(request->api->clock));
    _cleanup_json_ json_t *history = queue_worker_history(queue, start_ms, err);
    return history && reply_json(request, MHD_HTTP_OK,
                                 json_pack("{s:s, s:O, s:I, s:I, s:o, s:o}", "campaign", id, "state",
                                           json_object_get(campaign, "state"), "start_ms", (json_int_t)start_ms,
                                           "end_ms", (json_int_t)end_ms, "jobs", trace_sorted(jobs), "workers",
                                           trace_workers(history, jobs)));
}
