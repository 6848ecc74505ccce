/* Video in and out. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/json.h"

struct AVFrame;

/* What is known about a video before decoding. All of the upright picture. */
struct video_info {
    int width, height; /* after rotation */
    int rotation;      /* degrees clockwise that the reader turns the coded picture: 0, 90, 180, 270 */
    int time_base_num, time_base_den;
    int rate_num, rate_den; /* average frame rate */
    int pixel_format;       /* enum AVPixelFormat of the frames that the reader returns */
    int bit_depth;          /* 8 or 10 */
    int color_range, color_primaries, color_transfer, color_space, chroma_location; /* FFmpeg's enums */
    int aspect_num, aspect_den; /* sample aspect ratio, upright; 0/1 unknown */
    bool interlaced, has_audio;
    char codec[32];
};

/* Bytes that one frame of such a video takes. */
size_t video_frame_bytes(const struct video_info *info);

/* One decoded, upright frame. `pts` is in ticks of the video's time base, the first frame's being 0. */
struct frame {
    struct AVFrame *picture; /* owned; planar YUV of 8 or 10 bit (others are converted to the nearest such format) */
    int64_t index;           /* frame number in the master */
    int64_t pts, duration;
};
/* Frees the frame and its picture. */
void frame_free(struct frame *frame);
DEFINE_CLEANUP(struct frame *, frame_free)
#define _cleanup_frame_ _cleanup_(frame_free_cleanup)

struct video_reader;
/* Opens the best video stream of a local file (a container of the list in ffmpeg.c, never a playlist) and decodes its
 * first frame. `threads` of the decoder, 0: as many as cores. `cancel` (may be NULL) must outlive the reader; once it
 * is raised, every function of the reader ends within a packet with `cancelled`. media.not_found, media.empty,
 * media.invalid, media.no_video, media.unsupported, media.corrupt, media.limit, io. A reader is used by one thread at a
 * time. */
struct video_reader *video_open(const char *path, int threads, const atomic_bool *cancel, struct error *err) must_check;
void video_close(struct video_reader *reader);
DEFINE_CLEANUP(struct video_reader *, video_close)
#define _cleanup_video_reader_ _cleanup_(video_close_cleanup)
/* Borrowed, until the reader is closed; the reader's thread may write it while it seeks. */
const struct video_info *video_reader_info(const struct video_reader *reader);
/* Goes to the frame number `frame`, whose pts is exactly `pts`: video_next returns it next. Tries the container's
 * index, then key frames 2, 10 and 60 s earlier, then counts from the first frame (in a film without timestamps, which
 * has a limit of its own). media.invalid when there is no such frame; media.corrupt, io. */
bool video_seek(struct video_reader *reader, int64_t pts, int64_t frame, struct error *err) must_check;
/* The next frame, which the caller frees; NULL in *frame at the end. Frames come with ascending pts, as an edit list
 * shows them. media.corrupt with the time where the film is damaged, media.unsupported when the picture changes its
 * size, or its pixel format to one that cannot be converted to the film's own; media.limit, io. */
bool video_next(struct video_reader *reader, struct frame **frame, struct error *err) must_check;

/* What one pass over the whole film finds: every frame's pts (first 0), the end, and the first frame of every shot. */
struct video_scan {
    int64_t *pts;
    int64_t frame_count, end_pts;
    int64_t *shots; /* shots[0] == 0 */
    size_t shot_count;
};
/* Decodes the whole film from a reader that was just opened. `progress` (may be NULL) is called after every frame.
 * media.empty when there is no frame; else as video_next. The caller frees *out. */
bool video_scan(struct video_reader *reader, void (*progress)(int64_t frames, void *context), void *context,
                struct video_scan *out, struct error *err) must_check;
void video_scan_free(struct video_scan *scan);
#define _cleanup_video_scan_ _cleanup_(video_scan_free)

struct video_writer;
/* Writes H.264 (High, or High 10 for 10 bit; 4:2:2 and 4:4:4 keep their chroma in the profiles that allow
 * it), closed GOPs of at most 2 s, no audio, timestamps in `info`'s time base, tags as in `info`, so that
 * segments of one film can be joined without re-encoding. `quality` is the CRF. Interlaced films stay
 * interlaced. An odd size grows by one pixel where the chroma is subsampled (the last column or row is
 * repeated), because H.264 has no odd sizes there. Time base numerators are multiplied into the timestamps,
 * as MP4 counts in 1/time_base_den. media.unsupported, media.encode; io and disk.full while writing. */
struct video_writer *video_create(const char *path, const struct video_info *info, int quality, int threads,
                                  struct error *err) must_check;
/* Frees the frame, whatever happens. Its `pts` must ascend; it is the time inside this file, starting at 0. */
bool video_write(struct video_writer *writer, struct frame *frame, struct error *err) must_check;
/* Flushes and closes the file; `end_pts` is when the last frame ends. Frees the writer, whatever happens. */
bool video_finish(struct video_writer *writer, int64_t end_pts, struct error *err) must_check;
/* Removes the unfinished file and frees the writer. */
void video_discard(struct video_writer *writer);
DEFINE_CLEANUP(struct video_writer *, video_discard)
#define _cleanup_video_writer_ _cleanup_(video_discard_cleanup)

/* Joins segments by copying packets, with the speech encoded once (AAC) and cut or padded with silence to the
 * video's length, both starting at 0. MP4 with the index in front. `segment_start_pts[i]` places segment i on
 * the timeline.
 * The speech is 48 kHz, mono or stereo as it was given; 5.1 is mixed down to stereo. media.encode when
 * segments were not encoded alike; what audio_read says about the speech; cancelled. A failure leaves no file.
 * Memory does not grow with length. */
struct video_join {
    const char *const *segments;
    const int64_t *segment_start_pts;
    size_t segment_count;
    const struct video_info *info;
    int64_t end_pts;
    const char *speech;        /* audio file */
    const atomic_bool *cancel; /* stops it within a packet; may be NULL */
};
bool video_join_segments(const char *path, const struct video_join *join, struct error *err) must_check;

/* A video_info as JSON and back; json.invalid. The JSON is a new reference. */
json_t *video_info_to_json(const struct video_info *info);
bool video_info_from_json(const json_t *json, struct video_info *out, struct error *err) must_check;
