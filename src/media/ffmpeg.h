/* What the .c files of this room share about FFmpeg. Not for other rooms. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <stdatomic.h>

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

/* Sets `code` with FFmpeg's words for `status` after the message; ENOSPC becomes disk.full, and what a raised flag
 * stopped becomes cancelled. Returns false. */
bool media_error(struct error *err, enum error_code code, int status, const char *format, ...) printf_like(4, 5);

/* False with `cancelled` once the flag, which may be NULL, was raised. Asked in every loop over what a file holds. */
bool media_go_on(const atomic_bool *cancel, struct error *err) must_check;
/* Opens a local file, never a URL or a playlist, and finds its streams. `cancel` (may be NULL) must outlive what is
 * returned: it ends FFmpeg's own reading too. media.not_found, media.empty, media.invalid, media.corrupt (it is a known
 * container but cannot be read), media.limit, io. */
AVFormatContext *media_open(const char *path, const atomic_bool *cancel, struct error *err) must_check;
/* A decoder for `stream`, strict about damage. A picture over the limits is not decoded: its size goes to *refused
 * (NULL: sound), which media_check_size understands. media.unsupported. */
AVCodecContext *media_decoder(const AVStream *stream, int threads, _Atomic int64_t *refused,
                              struct error *err) must_check;
/* False with media.limit when a picture of this size is over the limits. */
bool media_check_size(int width, int height, const char *path, struct error *err) must_check;
/* The same for what a decoder refused; 0: nothing. */
bool media_check_refused(const _Atomic int64_t *refused, const char *path, struct error *err) must_check;

/* An MP4 file to be written: not yet opened for writing. `cancel` (may be NULL) must outlive it, and ends FFmpeg's own
 * loops over the file. */
AVFormatContext *media_create(const char *path, const atomic_bool *cancel) __attribute__((returns_nonnull));
/* Opens `path` and writes the header with `options` (used up). io, disk.full, media.encode. */
bool media_begin(AVFormatContext *format, const char *path, AVDictionary **options, struct error *err) must_check;
/* Writes the trailer and closes the file. io, disk.full: also for an earlier write whose failure shows only now. */
bool media_end(AVFormatContext *format, struct error *err) must_check;
/* Closes whatever is open and frees; NULL is fine. */
void media_output_free(AVFormatContext *format);
DEFINE_CLEANUP(AVFormatContext *, media_output_free)
#define _cleanup_output_ _cleanup_(media_output_free_cleanup)
