/* plan: reads the master once, decodes every speech into the store, and cuts the master into segments. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "dub/dub.h"

enum { PLAN_MAX_BYTES = 64 << 20 };

/* Called by video_scan after every frame. */
static bool plan_progress(int64_t frames, void *context) {
    const struct job_context *job = context;
    atomic_store(&job->progress->frames, frames);
    return !atomic_load(job->cancel);
}

/* ---- speech ---- */

static bool write_samples(const float *samples, int count, void *context, struct error *err) {
    _cleanup_free_ int16_t *pcm = xnew_array(int16_t, (size_t)count);
    for (int i = 0; i < count; i++)
        pcm[i] = (int16_t)lrintf(CLAMP(samples[i], -1.0F, 1.0F) * INT16_MAX);
    return store_writer_write(context, pcm, (size_t)count * sizeof *pcm, err);
}

/* Decodes one language's speech into the store: a dub then reads the part that it shows, and decodes nothing. */
static bool store_speech(const struct job_context *context, const struct dub *dub, const char *path, double *seconds,
                         struct error *err) {
    _cleanup_free_ char *key = layout_speech(context->campaign->id, dub->language);
    _cleanup_store_writer_ struct store_writer *writer = store_writer_open(context->store, key, err);
    int64_t samples;
    if (!writer || !audio_each(path, write_samples, writer, &samples, err))
        return false;
    if (samples == 0)
        return error_set(err, ERR_MEDIA_EMPTY, "there is no sound in it");
    *seconds = (double)samples / AUDIO_RATE;
    /* An earlier attempt may have stored it: the same file gives the same samples. */
    return store_writer_commit(steal(writer), STORE_IF_ABSENT, err) || err->code == ERR_STORE_EXISTS;
}

static bool store_speeches(const struct job_context *context, struct step_times *times, double *seconds,
                           struct error *err) {
    for (size_t i = 0; i < context->campaign->dub_count; i++) {
        const struct dub *dub = &context->campaign->dubs[i];
        _cleanup_cache_entry_ struct cache_entry *speech = work_fetch(context, times, dub->audio, err);
        int64_t started = step_start();
        if (!speech || !store_speech(context, dub, cache_entry_path(speech), &seconds[i], err))
            return error_wrap(err, "speech of %s (%s)", dub->language, dub->audio);
        step_stop(times, STEP_MEL, started);
    }
    return true;
}

/* ---- the master ---- */

static struct plan *make_plan(const struct job_context *context, const struct video_info *info,
                              const struct video_scan *scan, const double *speech_seconds) {
    _cleanup_json_ json_t *media = video_info_to_json(info);
    struct plan_input input = {.width = info->width,
                               .height = info->height,
                               .time_base_num = info->time_base_num,
                               .time_base_den = info->time_base_den,
                               .rate_num = info->rate_num,
                               .rate_den = info->rate_den,
                               .pts = scan->pts,
                               .frame_count = scan->frame_count,
                               .end_pts = scan->end_pts,
                               .shots = scan->shots,
                               .shot_count = scan->shot_count,
                               .speech_seconds = speech_seconds,
                               .media = media};
    return plan_make(context->campaign, &input);
}

/* Creates the plan in the store. Where an earlier attempt did, *plan becomes the plan of the store: that is the one
 * whose jobs may be running. */
static bool plan_publish(const struct job_context *context, struct plan **plan, struct error *err) {
    _cleanup_json_ json_t *json = plan_to_json(*plan);
    _cleanup_free_ char *text = json_line(json);
    if (store_put(context->store, context->artifact, text, strlen(text), STORE_IF_ABSENT, err))
        return true;
    if (err->code != ERR_STORE_EXISTS)
        return false;
    _cleanup_buffer_ struct buffer bytes = {0};
    if (!store_get(context->store, context->artifact, PLAN_MAX_BYTES, &bytes, err))
        return false;
    _cleanup_json_ json_t *earlier = json_parse(bytes.data, bytes.length, err);
    struct plan *kept = earlier ? plan_from_json(earlier, err) : NULL;
    if (!kept)
        return false;
    plan_free(*plan);
    *plan = kept;
    return true;
}

static bool scan_master(const struct job_context *context, struct step_times *times, struct video_reader *reader,
                        struct video_scan *scan, struct error *err) {
    if (!work_enter(context, times, err))
        return false;
    atomic_store(&context->progress->step, STEP_DECODE);
    int64_t started = step_start();
    bool scanned = video_scan(reader, plan_progress, (void *)(uintptr_t)context, scan, err);
    step_stop(times, STEP_DECODE, started);
    work_leave(context, times);
    return scanned || error_wrap(err, "master %s", context->campaign->video);
}

bool plan_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                  struct error *err) {
    _cleanup_cache_entry_ struct cache_entry *master = NULL;
    _cleanup_video_reader_ struct video_reader *reader = master_open(context, times, &master, err);
    if (!reader)
        return false;
    _cleanup_free_ double *seconds = xnew_array(double, context->campaign->dub_count);
    if (!store_speeches(context, times, seconds, err)) /* before the long part */
        return false;
    _cleanup_video_scan_ struct video_scan scan = {0};
    if (!scan_master(context, times, reader, &scan, err))
        return false;
    result->plan = make_plan(context, video_reader_info(reader), &scan, seconds);
    int64_t started = step_start();
    if (!plan_publish(context, &result->plan, err))
        return false;
    step_stop(times, STEP_UPLOAD, started);
    json_object_set_new(result->report, "frames", json_integer(scan.frame_count));
    json_object_set_new(result->report, "shots", json_integer((json_int_t)scan.shot_count));
    json_object_set_new(result->report, "segments", json_integer((json_int_t)result->plan->segment_count));
    return true;
}
