/* A film: read frame by frame, sought in, scanned. FFmpeg itself is not what is looked at, but what we do with it. */
#include <libavutil/frame.h>

#include "fuzz.h"
#include "media/media.h"
#include "media/video.h"

enum { FRAMES_MAX = 48, PIXELS_MAX = 1 << 20 };

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    media_process_begin();
    return 0;
}

static void check_info(const struct video_info *info) {
    struct video_info again;
    struct error err;
    ensure(info->width > 0 && info->height > 0 && info->time_base_num > 0 && info->time_base_den > 0);
    ensure((info->bit_depth == 8 || info->bit_depth == 10) && info->rotation % 90 == 0);
    _cleanup_json_ json_t *json = video_info_to_json(info);
    ensure(video_info_from_json(json, &again, &err));
}

static void check_seek(struct video_reader *reader, const int64_t *pts, int64_t count) {
    struct error err;
    for (int64_t i = count - 1; i >= 0; i -= MAX(count / 3, 1)) {
        _cleanup_frame_ struct frame *frame = NULL;
        if (!video_seek(reader, pts[i], i, &err) || !video_next(reader, &frame, &err))
            return;
        ensure(frame && frame->pts == pts[i] && frame->index == i);
    }
}

static void read_frames(struct video_reader *reader) {
    const struct video_info *info = video_reader_info(reader);
    int64_t pts[FRAMES_MAX], count = 0;
    struct error err;
    for (; count < FRAMES_MAX; count++) {
        _cleanup_frame_ struct frame *frame = NULL;
        if (!video_next(reader, &frame, &err))
            return;
        if (!frame)
            break;
        ensure(frame->index == count && frame->duration >= 1 && frame->picture->width == info->width);
        ensure(frame->picture->height == info->height && frame->picture->format == info->pixel_format);
        ensure(count == 0 ? frame->pts == 0 : frame->pts > pts[count - 1]);
        pts[count] = frame->pts;
    }
    check_seek(reader, pts, count);
}

static void stop_late(int64_t frames, void *stop) { atomic_store((atomic_bool *)stop, frames >= FRAMES_MAX); }

static void scan_frames(const char *path) {
    struct error err;
    atomic_bool stop = false;
    _cleanup_video_scan_ struct video_scan scan = {0};
    _cleanup_video_reader_ struct video_reader *reader = video_open(path, 1, &stop, &err);
    if (!reader || !video_scan(reader, stop_late, &stop, &scan, &err))
        return;
    ensure(scan.frame_count >= 1 && scan.pts[0] == 0 && scan.end_pts > scan.pts[scan.frame_count - 1]);
    ensure(scan.shot_count >= 1 && scan.shots[0] == 0 && scan.shots[scan.shot_count - 1] < scan.frame_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err = {.code = ERR_NONE};
    const char *path = fuzz_file(bytes, length);
    _cleanup_video_reader_ struct video_reader *reader = video_open(path, 1, NULL, &err);
    if (!reader) {
        ensure(err.code != ERR_NONE && err.message[0]);
        return 0;
    }
    const struct video_info *info = video_reader_info(reader);
    check_info(info);
    if ((int64_t)info->width * info->height > PIXELS_MAX)
        return 0;
    read_frames(reader);
    scan_frames(path);
    return 0;
}
