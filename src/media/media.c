#include "media/media.h"

#include "media/ffmpeg.h"

/* FFmpeg returns its errors, and what this program writes to stderr is JSON, line by line. */
void media_process_begin(void) { av_log_set_level(AV_LOG_QUIET); }

const char *media_version(void) { return av_version_info(); }
