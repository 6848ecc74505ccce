#include "media/ffmpeg.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "media/compat.h"

/* Containers that hold media themselves. Playlists and scripts (hls, dash, concat, imf, ...) are left out:
 * they would let a file make the farm read other files. So is tty, which takes every text for a film. */
static const char containers[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,mpegtsraw,asf,flv,ogg,mxf,gxf,nut,ivf,"
    "dv,"
    "h264,hevc,m4v,av1,obu,vc1,mjpeg,yuv4mpegpipe,gif,apng,rm,wtv,"
    "wav,w64,rf64,mp3,aac,flac,aiff,au,caf,amr,ac3,eac3,dts,ape,tta,wv,opus,mp2,voc,latm,loas";

void *media_must(void *pointer) {
    if (!pointer) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return pointer;
}

AVFrame *media_new_picture(enum AVPixelFormat format, int width, int height) {
    AVFrame *picture = media_must(av_frame_alloc());
    picture->format = format;
    picture->width = width;
    picture->height = height;
    if (av_frame_get_buffer(picture, 0) < 0)
        media_must(NULL);
    return picture;
}

bool media_error(struct error *err, enum error_code code, int status, const char *format, ...) {
    char message[sizeof err->message], reason[AV_ERROR_MAX_STRING_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    av_strerror(status, reason, sizeof reason);
    return error_set(err, status == AVERROR(ENOSPC) ? ERR_DISK_FULL : code, "%s: %s", message, reason);
}

static bool check_file(const char *path, struct error *err) {
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set_errno(err, errno == ENOENT ? ERR_MEDIA_NOT_FOUND : ERR_IO, errno, "cannot read %s", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERR_MEDIA_INVALID, "%s is not a file", path);
    if (info.st_size == 0)
        return error_set(err, ERR_MEDIA_EMPTY, "%s is empty (0 bytes); was its upload finished?", path);
    return true;
}

/* Whether the file begins like a container: then it is a damaged film, else it never was one. */
static bool looks_like_media(const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "rbe");
    unsigned char start[4096 + AVPROBE_PADDING_SIZE] = {0};
    AVProbeData probe = {.filename = "", .buf = start, .buf_size = file ? (int)fread(start, 1, 4096, file) : 0};
    int score = 0;
    const AVInputFormat *format = av_probe_input_format3(&probe, 1, &score);
    return format && score > AVPROBE_SCORE_EXTENSION;
}

static bool open_failed(const char *path, int status, struct error *err) {
    if (status == AVERROR(EIO) || status == AVERROR(EACCES) || status == AVERROR(EMFILE))
        return media_error(err, ERR_IO, status, "cannot read %s", path);
    if (status != AVERROR(EINVAL) && looks_like_media(path))
        return media_error(err, ERR_MEDIA_CORRUPT, status,
                           "%s is damaged at 0.000 s (its index cannot be read; was it cut off?)", path);
    return error_set(err, ERR_MEDIA_INVALID, "%s is not a media file that can be read", path);
}

AVFormatContext *media_open(const char *path, struct error *err) {
    if (!check_file(path, err))
        return NULL;
    _cleanup_options_ AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "format_whitelist", containers, 0);
    _cleanup_free_ char *url = xasprintf("file:%s", path); /* a path is never taken for a protocol */
    AVFormatContext *opened = NULL;
    int status = avformat_open_input(&opened, url, NULL, &options);
    _cleanup_input_ AVFormatContext *format = opened;
    if (status >= 0)
        status = avformat_find_stream_info(format, NULL);
    if (status < 0) {
        open_failed(path, status, err);
        return NULL;
    }
    return steal(format);
}

AVCodecContext *media_decoder(const AVStream *stream, int threads, struct error *err) {
    const char *name = avcodec_get_name(stream->codecpar->codec_id);
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec) {
        error_set(err, ERR_MEDIA_UNSUPPORTED, "there is no decoder for the codec %s; convert the file to H.264", name);
        return NULL;
    }
    _cleanup_codec_ AVCodecContext *decoder = media_must(avcodec_alloc_context3(codec));
    if (avcodec_parameters_to_context(decoder, stream->codecpar) < 0)
        media_must(NULL);
    decoder->pkt_timebase = stream->time_base;
    decoder->thread_count = threads;
    decoder->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
    int status = avcodec_open2(decoder, codec, NULL);
    if (status < 0) {
        media_error(err, ERR_MEDIA_UNSUPPORTED, status, "the %s stream cannot be decoded", name);
        return NULL;
    }
    return steal(decoder);
}

AVFormatContext *media_create(const char *path) {
    AVFormatContext *format = NULL;
    _cleanup_free_ char *url = xasprintf("file:%s", path);
    avformat_alloc_output_context2(&format, NULL, "mp4", url);
    return media_must(format);
}

bool media_begin(AVFormatContext *format, const char *path, AVDictionary **options, struct error *err) {
    int status = avio_open(&format->pb, format->url, AVIO_FLAG_WRITE);
    if (status < 0)
        return media_error(err, ERR_IO, status, "cannot create %s", path);
    status = avformat_write_header(format, options);
    return status >= 0 || media_error(err, ERR_MEDIA_ENCODE, status, "cannot begin %s", path);
}

bool media_end(AVFormatContext *format, struct error *err) {
    int status = av_write_trailer(format);
    int closed = avio_closep(&format->pb);
    if (status >= 0)
        status = closed;
    return status >= 0 || media_error(err, ERR_IO, status, "cannot write %s", format->url);
}

void media_output_free(AVFormatContext *format) {
    avio_closep(&format->pb);
    avformat_free_context(format);
}
