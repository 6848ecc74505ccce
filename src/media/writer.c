/* Writing video: H.264 in MP4, made so that segments written anywhere can be joined by copying packets. */
#include <libavutil/cpu.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/compat.h"
#include "media/ffmpeg.h"
#include "media/video.h"

enum { GOP_SECONDS = 2 };

/* A frame inside the encoder. */
struct waiting {
    int64_t pts;
    bool written;
};

struct video_writer {
    char *path;
    struct video_info info;
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *encoder;
    AVPacket *packet;
    bool begun; /* the header waits for the first frame's HDR metadata */
    struct waiting *waiting;
    size_t waiting_count, waiting_capacity;
    int64_t key_pts; /* of the last frame that was made a key frame here */
};

/* MP4 counts in 1/timescale, so a numerator is multiplied into the timestamps. */
static AVRational file_time_base(const struct video_info *info) { return (AVRational){1, info->time_base_den}; }

/* 4:2:0 and 4:2:2 need even sizes, and H.264 can only crop in steps of whole chroma samples. */
static int coded_size(int size, int log2_chroma) { return FFALIGN(size, 1 << log2_chroma); }

static void set_picture_options(AVCodecContext *encoder, const struct video_info *info) {
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(info->pixel_format);
    encoder->width = coded_size(info->width, description->log2_chroma_w);
    encoder->height = coded_size(info->height, description->log2_chroma_h);
    encoder->pix_fmt = info->pixel_format;
    encoder->sample_aspect_ratio = (AVRational){info->aspect_num, MAX(info->aspect_den, 1)};
    encoder->color_range = info->color_range;
    encoder->color_primaries = info->color_primaries;
    encoder->color_trc = info->color_transfer;
    encoder->colorspace = info->color_space;
    encoder->chroma_sample_location = info->chroma_location;
    if (info->interlaced)
        encoder->flags |= AV_CODEC_FLAG_INTERLACED_DCT;
}

/* Everything that ends up in the SPS and PPS depends on `info` and `quality` alone: every segment's are
 * equal. The preset by measurement, 10 s of 1280x720 at CRF 18, CPU seconds of the encoder alone, size and SSIM:
 * veryfast 3.9, 1.45 MB, 0.9956; superfast 2.6, 2.78 MB, 0.9968; superfast with the macroblock tree and a short
 * lookahead, which it leaves out, 2.1, 1.45 MB, 0.9956. At 400x300 and 360x288 that is 3 and 8 % larger than veryfast,
 * at SSIM 0.0009 and 0.0005 less. The macroblock tree of x264 164 in AVX-512 reads what lies behind a row's end, so
 * that two encodings of the same frames may differ; AVX2 is as fast. */
static bool open_encoder(struct video_writer *writer, int quality, int threads, struct error *err) {
    const struct video_info *info = &writer->info;
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    if (!codec)
        return error_set(err, ERR_MEDIA_UNSUPPORTED, "this FFmpeg has no libx264; install one that has");
    AVCodecContext *encoder = writer->encoder = media_must(avcodec_alloc_context3(codec));
    set_picture_options(encoder, info);
    encoder->time_base = file_time_base(info);
    encoder->framerate = info->rate_num > 0 ? (AVRational){info->rate_num, info->rate_den} : (AVRational){25, 1};
    encoder->gop_size = (int)ceil(GOP_SECONDS * av_q2d(encoder->framerate)) + 1;
    encoder->thread_count = threads;
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;
    _cleanup_options_ AVDictionary *options = NULL;
    av_dict_set(&options, "preset", "superfast", 0);
    av_dict_set(&options, "x264-params", "mbtree=1:rc-lookahead=10", 0);
    if (av_get_cpu_flags() & AV_CPU_FLAG_AVX512)
        av_dict_set(&options, "x264-params", ":asm=avx2", AV_DICT_APPEND);
    av_dict_set_int(&options, "crf", quality, 0);
    av_dict_set_int(&options, "forced-idr", 1, 0);
    int status = avcodec_open2(encoder, codec, &options);
    return status >= 0 || media_error(err, ERR_MEDIA_ENCODE, status, "cannot encode %s as H.264", writer->path);
}

static void writer_open_stream(struct video_writer *writer) {
    writer->format = media_create(writer->path, NULL);
    writer->stream = media_must(avformat_new_stream(writer->format, NULL));
    if (avcodec_parameters_from_context(writer->stream->codecpar, writer->encoder) < 0)
        media_must(NULL);
    writer->stream->time_base = writer->encoder->time_base;
    writer->stream->avg_frame_rate = writer->encoder->framerate;
    writer->stream->sample_aspect_ratio = writer->encoder->sample_aspect_ratio;
}

static void writer_free(struct video_writer *writer) {
    if (writer->format)
        media_output_free(writer->format);
    avcodec_free_context(&writer->encoder);
    av_packet_free(&writer->packet);
    free(writer->waiting);
    free(writer->path);
    free(writer);
}
DEFINE_CLEANUP(struct video_writer *, writer_free)

struct video_writer *video_create(const char *path, const struct video_info *info, int quality, int threads,
                                  struct error *err) {
    _cleanup_(writer_free_cleanup) struct video_writer *writer = xnew(struct video_writer);
    writer->path = xstrdup(path);
    writer->info = *info;
    writer->packet = media_must(av_packet_alloc());
    writer->key_pts = AV_NOPTS_VALUE;
    if (!open_encoder(writer, quality, threads, err))
        return NULL;
    writer_open_stream(writer);
    return steal(writer);
}

/* HDR's mastering display and light level live in the container; players take them from there. */
static void copy_hdr(AVStream *stream, const AVFrame *picture) {
    static const struct {
        enum AVFrameSideDataType from;
        enum AVPacketSideDataType to;
    } kinds[] = {
        {AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, AV_PKT_DATA_MASTERING_DISPLAY_METADATA},
        {AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_CONTENT_LIGHT_LEVEL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const AVFrameSideData *data = av_frame_get_side_data(picture, kinds[i].from);
        if (data && !compat_stream_set_side_data(stream, kinds[i].to, data->data, data->size))
            media_must(NULL);
    }
}

static bool writer_begin(struct video_writer *writer, const AVFrame *first, struct error *err) {
    if (writer->begun)
        return true;
    if (first)
        copy_hdr(writer->stream, first);
    _cleanup_options_ AVDictionary *options = NULL;
    av_dict_set_int(&options, "video_track_timescale", writer->encoder->time_base.den, 0);
    return writer->begun = media_begin(writer->format, writer->path, &options, err);
}

static void pad_plane(AVFrame *to, const AVFrame *from, int plane, int width, int height, int bytes) {
    int to_width = plane ? AV_CEIL_RSHIFT(to->width, av_pix_fmt_desc_get(to->format)->log2_chroma_w) : to->width;
    int to_height = plane ? AV_CEIL_RSHIFT(to->height, av_pix_fmt_desc_get(to->format)->log2_chroma_h) : to->height;
    for (int y = 0; y < to_height; y++) {
        const uint8_t *source = from->data[plane] + MIN(y, height - 1) * (ptrdiff_t)from->linesize[plane];
        uint8_t *row = to->data[plane] + y * (ptrdiff_t)to->linesize[plane];
        memcpy(row, source, (size_t)(width * bytes));
        for (int x = width; x < to_width; x++)
            memcpy(row + x * bytes, source + (width - 1) * bytes, (size_t)bytes);
    }
}

/* Repeats the last column and row of an odd-sized picture. */
static AVFrame *pad_picture(const AVFrame *from, int width, int height) {
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(from->format);
    AVFrame *to = media_new_picture(from->format, width, height);
    if (av_frame_copy_props(to, from) < 0)
        media_must(NULL);
    for (int plane = 0; plane < 3; plane++)
        pad_plane(to, from, plane, plane ? AV_CEIL_RSHIFT(from->width, description->log2_chroma_w) : from->width,
                  plane ? AV_CEIL_RSHIFT(from->height, description->log2_chroma_h) : from->height,
                  description->comp[0].depth > 8 ? 2 : 1);
    return to;
}

/* Writes the packets that the encoder has ready. Every frame whose packet can come out is in `waiting`, and one more
 * behind it: the packet's duration is the distance to that one. */
static bool writer_drain(struct video_writer *writer, struct error *err) {
    for (;;) {
        int status = avcodec_receive_packet(writer->encoder, writer->packet);
        if (status == AVERROR(EAGAIN) || status == AVERROR_EOF)
            return true;
        if (status < 0)
            return media_error(err, ERR_MEDIA_ENCODE, status, "encoding %s failed", writer->path);
        size_t i = 0;
        while (i + 2 < writer->waiting_count && writer->waiting[i].pts != writer->packet->pts)
            i++;
        writer->waiting[i].written = true;
        writer->packet->duration = writer->waiting[i + 1].pts - writer->waiting[i].pts;
        writer->packet->stream_index = 0;
        av_packet_rescale_ts(writer->packet, writer->encoder->time_base, writer->stream->time_base);
        status = av_interleaved_write_frame(writer->format, writer->packet);
        if (status < 0)
            return media_error(err, ERR_IO, status, "cannot write %s", writer->path);
    }
}

static void writer_remember(struct video_writer *writer, int64_t pts) {
    size_t done = 0;
    while (done < writer->waiting_count && writer->waiting[done].written)
        done++;
    writer->waiting_count -= done;
    if (done)
        memmove(writer->waiting, writer->waiting + done, writer->waiting_count * sizeof *writer->waiting);
    if (writer->waiting_count == writer->waiting_capacity) {
        writer->waiting_capacity = MAX(64, 2 * writer->waiting_capacity);
        writer->waiting = xreallocarray(writer->waiting, writer->waiting_capacity, sizeof *writer->waiting);
    }
    writer->waiting[writer->waiting_count++] = (struct waiting){.pts = pts};
}

/* By time, so that GOPs stay short at a variable frame rate too. */
static bool is_key(struct video_writer *writer, int64_t pts) {
    if (writer->key_pts != AV_NOPTS_VALUE && pts - writer->key_pts < GOP_SECONDS * (int64_t)writer->info.time_base_den)
        return false;
    writer->key_pts = pts;
    return true;
}

static AVFrame *writer_prepare(struct video_writer *writer, const struct frame *frame) {
    AVFrame *picture =
        frame->picture->width != writer->encoder->width || frame->picture->height != writer->encoder->height
            ? pad_picture(frame->picture, writer->encoder->width, writer->encoder->height)
            : media_must(av_frame_clone(frame->picture));
    picture->pts = frame->pts * writer->info.time_base_num;
    picture->pict_type = is_key(writer, picture->pts) ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    return picture;
}

static bool check_frame(const struct video_writer *writer, const struct frame *frame, struct error *err) {
    const AVFrame *picture = frame->picture;
    const struct video_info *info = &writer->info;
    if (picture->width != info->width || picture->height != info->height || picture->format != info->pixel_format)
        return error_set(err, ERR_INTERNAL, "frame %lld is %dx%d %s, but the video is %dx%d %s",
                         (long long)frame->index, picture->width, picture->height, av_get_pix_fmt_name(picture->format),
                         info->width, info->height, av_get_pix_fmt_name(info->pixel_format));
    if (writer->waiting_count && frame->pts * info->time_base_num <= writer->waiting[writer->waiting_count - 1].pts)
        return error_set(err, ERR_INTERNAL, "the timestamp of frame %lld does not ascend", (long long)frame->index);
    return true;
}

bool video_write(struct video_writer *writer, struct frame *frame, struct error *err) {
    _cleanup_frame_ struct frame *owned = frame;
    if (!check_frame(writer, owned, err) || !writer_begin(writer, owned->picture, err))
        return false;
    _cleanup_picture_ AVFrame *picture = writer_prepare(writer, owned);
    writer_remember(writer, picture->pts);
    if (!writer_drain(writer, err))
        return false;
    int status = avcodec_send_frame(writer->encoder, picture);
    return status >= 0 || media_error(err, ERR_MEDIA_ENCODE, status, "encoding %s failed", writer->path);
}

static bool writer_finish(struct video_writer *writer, int64_t end_pts, struct error *err) {
    if (!writer->begun)
        return error_set(err, ERR_MEDIA_EMPTY, "no frame was written to %s", writer->path);
    writer_remember(writer, end_pts * writer->info.time_base_num);
    int status = avcodec_send_frame(writer->encoder, NULL);
    if (status < 0)
        return media_error(err, ERR_MEDIA_ENCODE, status, "encoding %s failed", writer->path);
    return writer_drain(writer, err) && media_end(writer->format, err);
}

/* Removes what was written; a file that was there before is left alone while nothing was written to it. */
static void writer_remove_file(const struct video_writer *writer) {
    if (writer->begun || writer->format->pb)
        unlink(writer->path);
}

bool video_finish(struct video_writer *writer, int64_t end_pts, struct error *err) {
    _cleanup_(writer_free_cleanup) struct video_writer *owned = writer;
    if (writer_finish(owned, end_pts, err))
        return true;
    writer_remove_file(owned);
    return false;
}

void video_discard(struct video_writer *writer) {
    writer_remove_file(writer);
    writer_free(writer);
}
