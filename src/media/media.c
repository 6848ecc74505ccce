#include "media/media.h"

#include <libavutil/mem.h>

#include "farm/limits.h"
#include "media/ffmpeg.h"

/* FFmpeg returns its errors, and what this program writes to stderr is JSON, line by line. */
void media_process_begin(void) {
    av_log_set_level(AV_LOG_QUIET);
    av_max_alloc((size_t)limit_most(LIMIT_MEMORY_BYTES));
}

const char *media_version(void) { return av_version_info(); }
