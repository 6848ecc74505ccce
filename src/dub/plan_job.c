/* plan: reads the master once, decodes every speech, and cuts the master into segments. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "dub/dub.h"
#include "dub/part.h"
#include "farm/limits.h"

/* Called by video_scan after every frame. */
static void plan_progress(int64_t frames, void *progress) {
    atomic_store(&((struct progress *)progress)->frames, frames);
}

/* ---- speech ---- */

static bool write_samples(const float *samples, int count, void *context, struct error *err) {
    _cleanup_free_ int16_t *pcm = xnew_array(int16_t, (size_t)count);
    for (int i = 0; i < count; i++)
        pcm[i] = (int16_t)lrintf(CLAMP(samples[i], -1.0F, 1.0F) * INT16_MAX);
    return fwrite(pcm, sizeof *pcm, (size_t)count, context) == (size_t)count ||
           error_set_errno(err, ERR_IO, errno, "cannot write its samples");
}

/* Decodes one language's speech: a dub then reads the part that it shows, and decodes nothing. */
static bool decode_speech(const struct job_context *context, const char *from, const char *to, double *seconds,
                          struct error *err) {
    _cleanup_fclose_ FILE *file = fopen(to, "wbe");
    if (!file)
        return error_set_errno(err, ERR_IO, errno, "cannot create %s", to);
    int64_t samples;
    if (!audio_each(from, write_samples, file, context->cancel, &samples, err))
        return false;
    if (samples == 0)
        return error_set(err, ERR_MEDIA_EMPTY, "there is no sound in it");
    *seconds = (double)samples / AUDIO_RATE;
    return fflush(file) == 0 || error_set_errno(err, ERR_IO, errno, "cannot write %s", to);
}

static bool decode_speeches(const struct job_context *context, struct step_times *times, double *seconds,
                            struct error *err) {
    double sum = 0;
    for (size_t i = 0; i < context->campaign->dub_count; i++) {
        const struct dub *dub = &context->campaign->dubs[i];
        _cleanup_free_ char *name = source_speech_name(dub->language), *target = target_speech_name(dub->language);
        _cleanup_free_ char *to = work_path(context, target);
        const char *from = work_input(context, name, err);
        int64_t started = step_start();
        if (!from || !decode_speech(context, from, to, &seconds[i], err))
            return error_wrap(err, "speech of %s (%s)", dub->language, dub->audio);
        step_stop(times, STEP_MEL, started);
        sum += seconds[i];
        if (!limit_check(LIMIT_SPEECH_SECONDS, sum, "the campaign", err)) /* before the disk is full of it */
            return false;
    }
    return true;
}

/* ---- the master ---- */

static struct plan *make_plan(const struct job_context *context, const struct video_info *info,
                              const struct video_scan *scan, const double *speech_seconds, struct error *err) {
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
    return plan_make(context->campaign, &input, err);
}

static bool write_plan(const struct job_context *context, const struct plan *plan, struct error *err) {
    _cleanup_json_ json_t *json = plan_to_json(plan);
    _cleanup_free_ char *text = json_line(json), *path = work_path(context, TARGET_PLAN);
    return file_write_atomic(path, text, strlen(text), 0644, err);
}

static bool scan_master(const struct job_context *context, struct step_times *times, struct video_reader *reader,
                        struct video_scan *scan, struct error *err) {
    atomic_store(&context->progress->step, STEP_DECODE);
    int64_t started = step_start();
    bool scanned = video_scan(reader, plan_progress, context->progress, scan, err);
    step_stop(times, STEP_DECODE, started);
    return scanned || error_wrap(err, "master %s", context->campaign->video);
}

bool plan_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                  struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = master_open(context, times, err);
    if (!reader)
        return false;
    _cleanup_free_ double *seconds = xnew_array(double, context->campaign->dub_count);
    if (!decode_speeches(context, times, seconds, err)) /* before the long part */
        return false;
    _cleanup_video_scan_ struct video_scan scan = {0};
    if (!scan_master(context, times, reader, &scan, err))
        return false;
    _cleanup_plan_ struct plan *plan = make_plan(context, video_reader_info(reader), &scan, seconds, err);
    if (!plan || !write_plan(context, plan, err))
        return false;
    json_object_set_new(result->report, "frames", json_integer(scan.frame_count));
    json_object_set_new(result->report, "shots", json_integer((json_int_t)scan.shot_count));
    json_object_set_new(result->report, "segments", json_integer((json_int_t)plan->segment_count));
    return true;
}
