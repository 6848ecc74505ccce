/* join: puts a language's segments together without encoding them again, and encodes its speech once. */
#include "base/memory.h"
#include "dub/dub.h"
#include "dub/part.h"

struct parts {
    const char **paths; /* borrowed of the context */
    int64_t *starts;    /* of each on the dubbed video's timeline, in ticks */
    size_t count;
};

static void parts_free(struct parts *parts) {
    free(parts->paths);
    free(parts->starts);
}

/* In two passes, since a film may have a hundred thousand parts: to look each up by its name would take minutes. */
static bool find_parts(const struct job_context *context, const struct plan_language *language, struct parts *parts,
                       struct error *err) {
    parts->paths = xnew_array(const char *, language->output_count);
    parts->starts = xnew_array(int64_t, language->output_count);
    for (size_t i = 0, index; i < context->input_count; i++)
        if (source_part_parse(context->inputs[i].name, &index) && index < language->output_count)
            parts->paths[index] = context->inputs[i].path;
    for (; parts->count < language->output_count; parts->count++) {
        parts->starts[parts->count] = language->outputs[parts->count].start_pts;
        _cleanup_free_ char *name = parts->paths[parts->count] ? NULL : source_part_name(parts->count);
        if (name)
            return work_input(context, name, err) != NULL; /* says that there is none */
    }
    return true;
}

static bool join_parts(const struct job_context *context, const struct plan_language *language,
                       const struct parts *parts, const char *speech, const char *path, struct error *err) {
    struct video_info info;
    struct video_join join = {.segments = parts->paths,
                              .segment_start_pts = parts->starts,
                              .segment_count = parts->count,
                              .info = &info,
                              .end_pts = language->end_pts,
                              .speech = speech,
                              .cancel = context->cancel};
    return video_info_from_json(context->plan->media, &info, err) && video_join_segments(path, &join, err);
}

bool join_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                  struct error *err) {
    const char *name = context->job.language, *speech = work_input(context, SOURCE_SPEECH, err);
    if (!speech)
        return false;
    const struct plan_language *language = plan_language_find(context->plan, name);
    if (!language)
        return error_set(err, ERR_INTERNAL, "the plan does not fit the job %s/join", name);
    _cleanup_(parts_free) struct parts parts = {0};
    if (!find_parts(context, language, &parts, err))
        return false;
    atomic_store(&context->progress->of, (int64_t)parts.count);
    atomic_store(&context->progress->frames, (int64_t)parts.count);
    atomic_store(&context->progress->step, STEP_ENCODE);
    int64_t started = step_start();
    _cleanup_free_ char *path = work_path(context, TARGET_JOIN);
    bool joined = join_parts(context, language, &parts, speech, path, err);
    step_stop(times, STEP_ENCODE, started);
    return joined || error_wrap(err, "joining %s", name);
}
