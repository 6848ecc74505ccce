/* What the .c files of this room share about FFmpeg. Not for other rooms. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

#include "base/error.h"

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

/* Returns `pointer`; aborts when it is NULL, since out of memory ends this program. */
void *media_must(void *pointer) __attribute__((returns_nonnull));
/* A picture with buffers of its own; the caller frees it with av_frame_free. */
AVFrame *media_new_picture(enum AVPixelFormat format, int width, int height) __attribute__((returns_nonnull));

/* Sets `code` with FFmpeg's words for `status` after the message; ENOSPC becomes disk.full. Returns false. */
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
/* Writes the trailer and closes the file. io, disk.full: also for an earlier write whose failure shows only now. */
bool media_end(AVFormatContext *format, struct error *err) must_check;
/* Closes whatever is open and frees; NULL is fine. */
void media_output_free(AVFormatContext *format);
DEFINE_CLEANUP(AVFormatContext *, media_output_free)
#define _cleanup_output_ _cleanup_(media_output_free_cleanup)
