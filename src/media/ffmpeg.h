/* What the .c files of this room share about FFmpeg. Not for other rooms. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

#include "base/error.h"
#include "media/video.h"

static inline void packet_cleanup(AVPacket **packet) { av_packet_free(packet); }
static inline void picture_cleanup(AVFrame **picture) { av_frame_free(picture); }
static inline void input_cleanup(AVFormatContext **format) { avformat_close_input(format); }
static inline void codec_cleanup(AVCodecContext **codec) { avcodec_free_context(codec); }
static inline void options_cleanup(AVDictionary **options) { av_dict_free(options); }
#define _cleanup_packet_ _cleanup_(packet_cleanup)
#define _cleanup_picture_ _cleanup_(picture_cleanup)
#define _cleanup_input_ _cleanup_(input_cleanup)
#define _cleanup_codec_ _cleanup_(codec_cleanup)
#define _cleanup_options_ _cleanup_(options_cleanup)

/* FFmpeg's allocations under the house rule: out of memory aborts. */
void *media_must(void *pointer) __attribute__((returns_nonnull));
AVFrame *media_new_picture(enum AVPixelFormat format, int width, int height) __attribute__((returns_nonnull));

/* Sets `code` with FFmpeg's words for `status` behind the message; ENOSPC becomes disk.full. Returns false.
 */
bool media_error(struct error *err, enum error_code code, int status, const char *format, ...) printf_like(4, 5);

/* Opens a local file, never a URL or a playlist, and finds its streams. media.not_found, media.empty,
 * media.invalid, media.corrupt (it is a known container but cannot be read), io. */
AVFormatContext *media_open(const char *path, struct error *err) must_check;
/* A decoder for `stream`, strict about damage. media.unsupported. */
AVCodecContext *media_decoder(const AVStream *stream, int threads, struct error *err) must_check;

/* An MP4 file to be written: not yet opened for writing. */
AVFormatContext *media_create(const char *path) __attribute__((returns_nonnull));
/* Opens `path` and writes the header with `options` (used up). io, disk.full, media.encode. */
bool media_begin(AVFormatContext *format, const char *path, AVDictionary **options, struct error *err) must_check;
/* Writes the trailer and closes the file; reports writes that failed late. */
bool media_end(AVFormatContext *format, struct error *err) must_check;
/* Closes whatever is open and frees; NULL is fine. */
void output_free(AVFormatContext *format);
DEFINE_CLEANUP(AVFormatContext *, output_free)
#define _cleanup_output_ _cleanup_(output_free_cleanup)

/* How a coded picture becomes upright: first transposed, then flipped. */
struct upright {
    bool transpose, flip_x, flip_y;
};
/* From a display matrix (NULL: none), rounded to quarter turns; *degrees clockwise. */
struct upright upright_of(const int32_t *matrix, int *degrees);
/* The format of this room that is nearest to `format`: planar YUV, 8 or 10 bit, 4:2:0, 4:2:2 or 4:4:4 (4:2:0
 * where a transposed 4:2:2 has no such format). AV_PIX_FMT_NONE when swscale cannot read `format`. */
enum AVPixelFormat picture_nearest_format(enum AVPixelFormat format, bool transpose);
/* A new picture (or a new reference to the same pixels when nothing is to do), upright and in `format`.
 * *scaler is kept between calls; sws_freeContext it. */
AVFrame *picture_upright(const AVFrame *coded, enum AVPixelFormat format, const struct upright *upright,
                         struct SwsContext **scaler) __attribute__((returns_nonnull));
