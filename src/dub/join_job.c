/* join: puts a language's segments together without encoding them again, and encodes its speech once. */
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "dub/dub.h"
#include "work/flow.h"

struct parts {
    char **paths;    /* local files */
    int64_t *starts; /* of each on the dubbed video's timeline, in ticks */
    size_t count;
};

static void parts_free(struct parts *parts) {
    for (size_t i = 0; i < parts->count; i++)
        free(parts->paths[i]);
    free(parts->paths);
    free(parts->starts);
}

/* What the fetching threads share. A part is small, so over a network its fetch is mostly waiting: several are fetched
 * at a time. The threads write only the atomics, the flow and one file a part, which no two of them fetch. */
struct fetch {
    const struct job_context *context;
    const struct parts *parts; /* named before the threads start */
    struct flow flow;
    /* `next`: adding to it makes a part this thread's alone; `done` is for the progress. The files are read only after
     * the threads were joined, so these two order nothing: any memory order would do. */
    _Atomic size_t next, done;
};

static void *fetch_thread(void *context) {
    struct fetch *fetch = context;
    while (!flow_stopped(&fetch->flow)) {
        size_t i = atomic_fetch_add(&fetch->next, 1);
        if (i >= fetch->parts->count)
            break;
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

static bool fetch_parts(const struct job_context *context, struct step_times *times, const struct parts *parts,
                        struct error *err) {
    enum { FETCHERS = 8 };
    int64_t began = step_start();
    struct fetch fetch = {.context = context, .parts = parts};
    flow_init(&fetch.flow, context->cancel);
    pthread_t threads[FETCHERS] = {0};
    size_t count = MIN(parts->count, FETCHERS), running = 0;
    struct error refused;
    while (running < count && thread_start(&threads[running], "join-fetch", fetch_thread, &fetch, &refused))
        running++;
    if (running < count)
        flow_fail(&fetch.flow, &refused);
    for (size_t i = 0; i < running; i++)
        pthread_join(threads[i], NULL);
    step_stop(times, STEP_FETCH, began);
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
