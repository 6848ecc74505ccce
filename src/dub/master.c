#include "dub/dub.h"

struct video_reader *master_open(const struct job_context *context, struct step_times *times,
                                 struct cache_entry **entry, struct error *err) {
    *entry = work_fetch(context, times, context->campaign->video, err);
    if (!*entry)
        return NULL;
    int64_t started = step_start();
    struct video_reader *reader = video_open(cache_entry_path(*entry), 0, err);
    step_stop(times, STEP_DECODE, started);
    if (!reader)
        error_wrap(err, "master %s", context->campaign->video);
    return reader;
}
