#include "dub/dub.h"
#include "dub/part.h"

struct video_reader *master_open(const struct job_context *context, struct step_times *times, struct error *err) {
    const char *path = work_input(context, SOURCE_VIDEO, err);
    if (!path)
        return NULL;
    int64_t started = step_start();
    struct video_reader *reader = video_open(path, 0, context->cancel, err);
    step_stop(times, STEP_DECODE, started);
    if (!reader)
        error_wrap(err, "master %s", context->campaign->video);
    return reader;
}
