/* Runs one function of the media room on a file and prints what it gave, for the tests in this folder. */
#include <inttypes.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>
#include <string.h>

#include "base/memory.h"
#include "media/media.h"

static bool print_scan(char **arguments, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = video_open(arguments[0], 0, NULL, err);
    if (!reader)
        return false;
    _cleanup_video_scan_ struct video_scan scan = {0};
    if (!video_scan(reader, NULL, NULL, &scan, err))
        return false;
    _cleanup_json_ json_t *json = video_info_to_json(video_reader_info(reader));
    struct video_info copy;
    if (!video_info_from_json(json, &copy, err))
        return false;
    json_t *pts = json_array(), *shots = json_array();
    for (int64_t i = 0; i < scan.frame_count; i++)
        json_array_append_new(pts, json_integer(scan.pts[i]));
    for (size_t i = 0; i < scan.shot_count; i++)
        json_array_append_new(shots, json_integer(scan.shots[i]));
    json_object_set_new(json, "pts", pts);
    json_object_set_new(json, "shots", shots);
    json_object_set_new(json, "end_pts", json_integer(scan.end_pts));
    json_dumpf(json, stdout, 0);
    return true;
}

static void print_frame(const struct frame *frame) {
    const AVFrame *picture = frame->picture;
    int size = av_image_get_buffer_size(picture->format, picture->width, picture->height, 1);
    _cleanup_free_ uint8_t *bytes = xnew_array(uint8_t, (size_t)size);
    av_image_copy_to_buffer(bytes, size, (const uint8_t *const *)picture->data, picture->linesize, picture->format,
                            picture->width, picture->height, 1);
    uint8_t sum[16];
    av_md5_sum(sum, bytes, (size_t)size);
    printf("%" PRId64 " %" PRId64 " %" PRId64 " ", frame->index, frame->pts, frame->duration);
    for (int i = 0; i < 16; i++)
        printf("%02x", sum[i]);
    puts("");
}

/* FILE [PTS INDEX]: index, pts, duration and MD5 of the pixels, of all frames or from one on. */
static bool print_frames(char **arguments, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = video_open(arguments[0], 2, NULL, err);
    if (!reader || (arguments[1] && !video_seek(reader, atoll(arguments[1]), atoll(arguments[2]), err)))
        return false;
    for (int left = arguments[1] ? 3 : INT32_MAX; left > 0; left--) {
        _cleanup_frame_ struct frame *frame = NULL;
        if (!video_next(reader, &frame, err))
            return false;
        if (!frame)
            break;
        print_frame(frame);
    }
    return true;
}

/* FILE PTS INDEX PTS INDEX ...: seeks with one reader from place to place, printing one frame each. */
static bool print_jumps(char **arguments, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = video_open(arguments[0], 2, NULL, err);
    if (!reader)
        return false;
    for (char **to = arguments + 1; to[0]; to += 2) {
        _cleanup_frame_ struct frame *frame = NULL;
        if (!video_seek(reader, atoll(to[0]), atoll(to[1]), err) || !video_next(reader, &frame, err))
            return false;
        if (frame)
            print_frame(frame);
    }
    return true;
}

static bool write_segment(struct video_reader *reader, const char *path, int64_t frames, int quality, int64_t *start,
                          bool *more, struct error *err) {
    _cleanup_video_writer_ struct video_writer *writer = video_create(path, video_reader_info(reader), quality, 2, err);
    if (!writer)
        return false;
    int64_t end = *start, count = 0;
    for (*more = true; count < frames; count++) {
        struct frame *frame = NULL;
        if (!video_next(reader, &frame, err))
            return false;
        if (!frame)
            break;
        end = frame->pts + frame->duration;
        frame->pts -= *start;
        if (!video_write(writer, frame, err))
            return false;
    }
    *more = count == frames;
    if (count == 0)
        return true;
    int64_t length = end - *start;
    *start = end;
    return video_finish(steal(writer), length, err);
}

/* IN OUT QUALITY */
static bool copy(char **arguments, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = video_open(arguments[0], 2, NULL, err);
    int64_t start = 0;
    bool more;
    return reader && write_segment(reader, arguments[1], INT32_MAX, atoi(arguments[2]), &start, &more, err);
}

/* IN SPEECH OUT FRAMES_A_SEGMENT: segments beside OUT, then joined. */
static bool dub(char **arguments, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = video_open(arguments[0], 2, NULL, err);
    if (!reader)
        return false;
    char *segments[64] = {0};
    int64_t starts[65] = {0};
    size_t count = 0;
    bool more = true, good = true;
    while (more && good && count < 64) {
        segments[count] = xasprintf("%s.%zu.mp4", arguments[2], count);
        starts[count + 1] = starts[count];
        good = write_segment(reader, segments[count], atoi(arguments[3]), 18, &starts[count + 1], &more, err);
        count++;
    }
    if (starts[count] == starts[count - 1])
        count--;
    struct video_join join = {.segments = (const char *const *)segments,
                              .segment_start_pts = starts,
                              .segment_count = count,
                              .info = video_reader_info(reader),
                              .end_pts = starts[count],
                              .speech = arguments[1]};
    good = good && video_join_segments(arguments[2], &join, err);
    for (size_t i = 0; i < ARRAY_LENGTH(segments); i++)
        free(segments[i]);
    return good;
}

static bool write_audio(char **arguments, struct error *err) {
    _cleanup_audio_ struct audio audio = {0};
    if (!audio_read(arguments[0], &audio, err))
        return false;
    fwrite(audio.samples, sizeof *audio.samples, (size_t)audio.count, stdout);
    return true;
}

static bool ignore_samples(const float *samples, int count, void *context, struct error *err) { return true; }

static bool print_length(char **arguments, struct error *err) {
    int64_t count;
    if (!audio_each(arguments[0], ignore_samples, NULL, NULL, &count, err))
        return false;
    printf("%.6f\n", (double)count / AUDIO_RATE);
    return true;
}

static bool write_mel(char **arguments, struct error *err) {
    _cleanup_audio_ struct audio audio = {0};
    if (!audio_read(arguments[0], &audio, err))
        return false;
    _cleanup_mel_ struct mel mel = {0};
    mel_make(&audio, &mel);
    fwrite(mel.values, sizeof *mel.values, (size_t)mel.frames * MEL_BANDS, stdout);
    return true;
}

int main(int count, char **arguments) {
    media_process_begin();
    static const struct {
        const char *name;
        bool (*run)(char **arguments, struct error *err);
    } commands[] = {{"scan", print_scan}, {"frames", print_frames}, {"jumps", print_jumps},   {"copy", copy},
                    {"dub", dub},         {"audio", write_audio},   {"length", print_length}, {"mel", write_mel}};
    for (size_t i = 0; i < ARRAY_LENGTH(commands) && count > 2; i++) {
        struct error err = {0};
        if (strcmp(commands[i].name, arguments[1]) != 0)
            continue;
        if (commands[i].run(arguments + 2, &err))
            return 0;
        fprintf(stderr, "%s: %s\n", error_name(err.code), err.message);
        return 1;
    }
    fputs("usage: media_tool COMMAND FILE...\n", stderr);
    return 2;
}
