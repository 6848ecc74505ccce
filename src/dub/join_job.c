/* join: put a language's segments together without re-encoding, and encode its speech once. */
#include <string.h>

#include "base/memory.h"
#include "dub/dub.h"
#include "work/flow.h"

struct parts {
    char **paths;
    int64_t *starts;
    size_t count;
};

static void parts_free(struct parts *parts) {
    for (size_t i = 0; i < parts->count; i++)
        free(parts->paths[i]);
    free(parts->paths);
    free(parts->starts);
}

/* Several at a time: a part is small, so over a network its fetch is mostly waiting. */
struct fetch {
    const struct job_context *context;
    struct parts *parts;
    struct flow flow;
    _Atomic size_t next, done;
};

static void *fetch_thread(void *context) {
    struct fetch *fetch = context;
    for (size_t i; !flow_stopped(&fetch->flow) && (i = atomic_fetch_add(&fetch->next, 1)) < fetch->parts->count;) {
        struct error err;
        if (!store_get_file(fetch->context->store, fetch->context->inputs[i], fetch->parts->paths[i], &err))
            flow_fail(&fetch->flow, &err);
        atomic_store(&fetch->context->progress->frames, (int64_t)atomic_fetch_add(&fetch->done, 1) + 1);
    }
    return NULL;
}

static void name_parts(const struct job_context *context, const struct plan_language *language, struct parts *parts) {
    parts->count = language->output_count;
    parts->paths = xnew_array(char *, parts->count);
    parts->starts = xnew_array(int64_t, parts->count);
    for (size_t i = 0; i < parts->count; i++) {
        _cleanup_free_ char *name = xasprintf("%04zu.mp4", i);
        parts->starts[i] = language->outputs[i].start_pts;
        parts->paths[i] = work_path(context, name);
    }
}

static bool fetch_parts(const struct job_context *context, struct step_times *times, struct parts *parts,
                        struct error *err) {
    enum { FETCHERS = 8 };
    int64_t started = step_start();
    struct fetch fetch = {.context = context, .parts = parts};
    flow_init(&fetch.flow, context->cancel);
    pthread_t threads[FETCHERS];
    size_t count = MIN(parts->count, FETCHERS);
    for (size_t i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, fetch_thread, &fetch);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    step_stop(times, STEP_FETCH, started);
    bool good = flow_result(&fetch.flow, err);
    flow_destroy(&fetch.flow);
    return good;
}

static bool join_parts(const struct job_context *context, const struct plan_language *language,
                       const struct parts *parts, const char *speech, const char *path, struct error *err) {
    struct video_info info;
    struct video_join join = {.segments = (const char *const *)parts->paths,
                              .segment_start_pts = parts->starts,
                              .segment_count = parts->count,
                              .info = &info,
                              .end_pts = language->end_pts,
                              .speech = speech};
    return video_info_from_json(context->plan->media, &info, err) && video_join_segments(path, &join, err);
}

static const char *speech_uri(const struct campaign *campaign, const char *language) {
    for (size_t i = 0; i < campaign->dub_count; i++)
        if (strcmp(campaign->dubs[i].language, language) == 0)
            return campaign->dubs[i].audio;
    return NULL;
}

bool join_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                  struct error *err) {
    const char *name = context->job.language, *uri = speech_uri(context->campaign, name);
    const struct plan_language *language = plan_language_find(context->plan, name);
    if (!uri || !language || context->input_count != language->output_count)
        return error_set(err, ERR_INTERNAL, "the plan does not fit the job %s/join", name);
    _cleanup_cache_entry_ struct cache_entry *speech = work_fetch(context, times, uri, err);
    if (!speech)
        return false;
    atomic_store(&context->progress->of, (int64_t)language->output_count);
    _cleanup_(parts_free) struct parts parts = {0};
    name_parts(context, language, &parts);
    if (!fetch_parts(context, times, &parts, err))
        return false;
    if (!work_enter(context, times, err))
        return false;
    atomic_store(&context->progress->step, STEP_ENCODE);
    int64_t started = step_start();
    _cleanup_free_ char *path = work_path(context, "final.mp4");
    bool joined = join_parts(context, language, &parts, cache_entry_path(speech), path, err);
    step_stop(times, STEP_ENCODE, started);
    work_leave(context, times);
    if (!joined)
        return error_wrap(err, "joining %s", name);
    return work_upload(context, times, path, result->report, err);
}
