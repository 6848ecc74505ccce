#include "media/ffmpeg.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "farm/limits.h"
#include "media/compat.h"

/* Containers that hold media themselves. Playlists and scripts (hls, dash, concat, imf, ...) are left out:
 * they would let a file make the farm read other files. So is tty, which takes every text for a film. */
static const char containers[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,mpegtsraw,asf,flv,ogg,mxf,gxf,nut,ivf,"
    "dv,"
    "h264,hevc,m4v,av1,obu,vc1,mjpeg,yuv4mpegpipe,gif,apng,rm,wtv,"
    "wav,w64,rf64,mp3,aac,flac,aiff,au,caf,amr,ac3,eac3,dts,ape,tta,wv,opus,mp2,voc,latm,loas";

/* Decoders of what films and speeches come in; FFmpeg's other hundreds are for games, screens and experiments, and none
 * of them may meet a stranger's bytes. */
static const char decoders[] =
    "h264,hevc,libdav1d,libaom-av1,av1,vp8,vp9,libvpx,libvpx-vp9,mpeg1video,mpeg2video,mpegvideo,mpeg4,msmpeg4v1,"
    "msmpeg4v2,msmpeg4,h261,h263,h263p,h263i,flv,wmv1,wmv2,wmv3,vc1,rv10,rv20,rv30,rv40,vp3,vp6,vp6a,vp6f,theora,"
    "prores,dnxhd,cfhd,jpeg2000,libopenjpeg,mjpeg,mjpegb,dvvideo,ffv1,huffyuv,ffvhuff,utvideo,magicyuv,hap,qtrle,"
    "svq3,cinepak,png,apng,gif,rawvideo,v210,v308,v408,v410,r210,yuv4,ayuv,y41p,"
    "aac,aac_latm,mp1,mp1float,mp2,mp2float,mp3,mp3float,ac3,eac3,truehd,mlp,dca,flac,alac,opus,libopus,vorbis,"
    "libvorbis,speex,libspeex,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm,gsm_ms,libgsm,libgsm_ms,g722,"
    "g726,g726le,ilbc,wmav1,wmav2,wmapro,wmalossless,wmavoice,cook,real_144,real_288,sipr,nellymoser,ape,tta,"
    "wavpack,s302m,dvaudio,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_yamaha,adpcm_swf,pcm_alaw,pcm_mulaw,"
    "pcm_bluray,pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_s8,pcm_s8_planar,pcm_u8,pcm_s16be,"
    "pcm_s16be_planar,pcm_s16le,pcm_s16le_planar,pcm_s24be,pcm_s24le,pcm_s24le_planar,pcm_s24daud,pcm_s32be,"
    "pcm_s32le,pcm_s32le_planar,pcm_s64be,pcm_s64le,pcm_u16be,pcm_u16le,pcm_u24be,pcm_u24le,pcm_u32be,pcm_u32le";

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

static bool told_to_stop(struct error *err) { return error_set(err, ERR_CANCELLED, "the job was told to stop"); }

bool media_error(struct error *err, enum error_code code, int status, const char *format, ...) {
    if (status == AVERROR_EXIT)
        return told_to_stop(err);
    char message[sizeof err->message], reason[AV_ERROR_MAX_STRING_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    av_strerror(status, reason, sizeof reason);
    return error_set(err, status == AVERROR(ENOSPC) ? ERR_DISK_FULL : code, "%s: %s", message, reason);
}

/* ---- limits ---- */

bool media_go_on(const atomic_bool *cancel, struct error *err) {
    /* No other memory goes with the flag: any memory order would do. */
    return !cancel || !atomic_load(cancel) || told_to_stop(err);
}

/* Asked by FFmpeg wherever it reads or writes a file. */
static int must_stop(void *cancel) { return cancel && atomic_load((const atomic_bool *)cancel); }

static AVIOInterruptCB stopped_by(const atomic_bool *cancel) {
    return (AVIOInterruptCB){must_stop, (void *)(uintptr_t)cancel};
}

bool media_check_size(int width, int height, const char *path, struct error *err) {
    return limit_check(LIMIT_SIDE, MAX(width, height), path, err) &&
           limit_check(LIMIT_PIXELS, (double)width * height, path, err);
}

bool media_check_refused(const _Atomic int64_t *refused, const char *path, struct error *err) {
    int64_t size = atomic_load(refused);
    return media_check_size((int)(size >> 32), (int)(size & INT32_MAX), path, err);
}

/* A decoder asks for a picture: any of its threads may. The size stands nowhere else when it is refused. */
static int buffer_within_limits(AVCodecContext *decoder, AVFrame *frame, int flags) {
    struct error refusal;
    if (media_check_size(frame->width, frame->height, "", &refusal))
        return avcodec_default_get_buffer2(decoder, frame, flags);
    _Atomic int64_t *refused = decoder->opaque;
    atomic_store(refused, (int64_t)frame->width << 32 | frame->height);
    return AVERROR(EINVAL);
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
    if (status == AVERROR_EXIT)
        return told_to_stop(err);
    if (status == AVERROR(ENOMEM)) /* so demuxers say that a stream more is not allowed */
        return error_set(err, ERR_MEDIA_LIMIT, "%s has more than %lld streams, or an index that is larger than memory",
                         path, (long long)limit_most(LIMIT_STREAMS));
    if (status == AVERROR(EIO) || status == AVERROR(EACCES) || status == AVERROR(EMFILE))
        return media_error(err, ERR_IO, status, "cannot read %s", path);
    if (status != AVERROR(EINVAL) && looks_like_media(path))
        return media_error(err, ERR_MEDIA_CORRUPT, status,
                           "%s is damaged at 0.000 s (its index cannot be read; was it cut off?)", path);
    return error_set(err, ERR_MEDIA_INVALID, "%s is not a media file that can be read", path);
}

/* Some codecs' streams are only known once their pictures are decoded: no larger ones than the limits allow. How much
 * of the file is looked at FFmpeg's own defaults bound (5 MB, some seconds). */
static int find_streams(AVFormatContext *format) {
    unsigned count = format->nb_streams;
    AVDictionary **options = xnew_array(AVDictionary *, count + 1);
    for (unsigned i = 0; i < count; i++)
        av_dict_set_int(&options[i], "max_pixels", limit_most(LIMIT_PIXELS), 0);
    int status = avformat_find_stream_info(format, options);
    for (unsigned i = 0; i < count; i++)
        av_dict_free(&options[i]);
    free(options);
    return status;
}

/* What the header says, before anything is decoded. */
static bool check_header(const AVFormatContext *format, const char *path, struct error *err) {
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (!(format->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC) &&
            !media_check_size(format->streams[i]->codecpar->width, format->streams[i]->codecpar->height, path, err))
            return false;
    return limit_check(LIMIT_STREAMS, format->nb_streams, path, err);
}

/* A duration that is estimated from a bit rate announces nothing. */
static bool check_duration(const AVFormatContext *format, const char *path, struct error *err) {
    return format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE ||
           limit_check(LIMIT_SECONDS, (double)format->duration / AV_TIME_BASE, path, err);
}

AVFormatContext *media_open(const char *path, const atomic_bool *cancel, struct error *err) {
    if (!check_file(path, err))
        return NULL;
    _cleanup_options_ AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "format_whitelist", containers, 0);
    av_dict_set(&options, "codec_whitelist", decoders, 0);
    av_dict_set_int(&options, "max_streams", limit_most(LIMIT_STREAMS) + 1, 0);
    _cleanup_free_ char *url = xasprintf("file:%s", path); /* a path is never taken for a protocol */
    AVFormatContext *opened = media_must(avformat_alloc_context());
    opened->interrupt_callback = stopped_by(cancel);
    int status = avformat_open_input(&opened, url, NULL, &options);
    _cleanup_input_ AVFormatContext *format = opened;
    if (status >= 0 && !check_header(format, path, err))
        return NULL;
    if (status >= 0)
        status = find_streams(format);
    if (status < 0) {
        open_failed(path, status, err);
        return NULL;
    }
    return check_duration(format, path, err) ? steal(format) : NULL;
}

/* Decoders that do not ask for their pictures' memory are told the largest one instead. */
static void hold_to_limits(AVCodecContext *decoder, _Atomic int64_t *refused) {
    decoder->opaque = refused;
    decoder->get_buffer2 = buffer_within_limits;
    if (!(decoder->codec->capabilities & AV_CODEC_CAP_DR1))
        decoder->max_pixels = limit_most(LIMIT_PIXELS);
}

AVCodecContext *media_decoder(const AVStream *stream, int threads, _Atomic int64_t *refused, struct error *err) {
    const char *name = avcodec_get_name(stream->codecpar->codec_id);
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec || av_match_list(codec->name, decoders, ',') <= 0) {
        error_set(err, ERR_MEDIA_UNSUPPORTED, "the codec %s is not one that mela decodes; convert the file to H.264%s",
                  name, refused ? "" : " and its sound to AAC");
        return NULL;
    }
    _cleanup_codec_ AVCodecContext *decoder = media_must(avcodec_alloc_context3(codec));
    if (avcodec_parameters_to_context(decoder, stream->codecpar) < 0)
        media_must(NULL);
    decoder->pkt_timebase = stream->time_base;
    decoder->thread_count = threads;
    decoder->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
    if (refused)
        hold_to_limits(decoder, refused);
    int status = avcodec_open2(decoder, codec, NULL);
    if (status < 0) {
        media_error(err, ERR_MEDIA_UNSUPPORTED, status, "the %s stream cannot be decoded", name);
        return NULL;
    }
    return steal(decoder);
}

AVFormatContext *media_create(const char *path, const atomic_bool *cancel) {
    AVFormatContext *format = NULL;
    _cleanup_free_ char *url = xasprintf("file:%s", path);
    avformat_alloc_output_context2(&format, NULL, "mp4", url);
    media_must(format);
    format->interrupt_callback = stopped_by(cancel);
    return format;
}

bool media_begin(AVFormatContext *format, const char *path, AVDictionary **options, struct error *err) {
    int status = avio_open2(&format->pb, format->url, AVIO_FLAG_WRITE, &format->interrupt_callback, NULL);
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
