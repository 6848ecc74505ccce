/* join: put a language's segments together without re-encoding, and encode its speech once. */
#include <string.h>

#include "base/memory.h"
#include "stage/work.h"

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

static bool fetch_parts(const struct stage_context *context, struct step_times *times,
                        const struct plan_language *language, struct parts *parts, struct error *err) {
    int64_t started = step_start();
    parts->paths = xnew_array(char *, language->output_count);
    parts->starts = xnew_array(int64_t, language->output_count);
    parts->count = language->output_count;
    for (size_t i = 0; i < parts->count; i++) {
        if (atomic_load(context->cancel))
            return error_set(err, ERR_CANCELLED, "the job was told to stop");
        _cleanup_free_ char *name = xasprintf("%04zu.mp4", i);
        parts->starts[i] = language->outputs[i].start_pts;
        parts->paths[i] = work_path(context, name);
        if (!store_get_file(context->store, context->inputs[i], parts->paths[i], err))
            return false;
        atomic_store(&context->progress->frames, (int64_t)i + 1);
    }
    step_stop(times, STEP_FETCH, started);
    return true;
}

static bool join_parts(const struct stage_context *context, const struct plan_language *language,
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

bool stage_join(const struct stage_context *context, struct step_times *times, struct stage_result *result,
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
    if (!fetch_parts(context, times, language, &parts, err))
        return false;
    if (!work_enter(context, err))
        return false;
    atomic_store(&context->progress->step, STEP_ENCODE);
    int64_t started = step_start();
    _cleanup_free_ char *path = work_path(context, "final.mp4");
    bool joined = join_parts(context, language, &parts, cache_entry_path(speech), path, err);
    step_stop(times, STEP_ENCODE, started);
    work_leave(context);
    if (!joined)
        return error_wrap(err, "joining %s", name);
    return work_upload(context, times, path, result->report, err);
}
