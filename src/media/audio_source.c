#include "media/audio_source.h"

#include <libavutil/audio_fifo.h>
#include <libavutil/channel_layout.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/opt.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "farm/limits.h"

/* Missing sound up to this long is rounding, not damage. */
#define SHORTFALL_SECONDS 0.5
/* Writers that stream (espeak-ng --stdout, sox to a pipe) put lengths from here on into a WAV header. */
#define UNKNOWN_WAV_BYTES 0x7ff00000

struct audio_source {
    char *path;
    const atomic_bool *cancel; /* borrowed; NULL: cannot be cancelled */
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *decoder;
    SwrContext *resampler;
    AVAudioFifo *ready;
    AVPacket *packet;
    AVFrame *decoded;
    int rate, channels;
    struct shape {
        int rate, channels, format;
    } shape;        /* of what the resampler converts */
    double seconds; /* decoded so far */
    bool drained, ended;
};

void audio_source_free(struct audio_source *source) {
    av_frame_free(&source->decoded);
    av_packet_free(&source->packet);
    if (source->ready)
        av_audio_fifo_free(source->ready);
    swr_free(&source->resampler);
    avcodec_free_context(&source->decoder);
    avformat_close_input(&source->format);
    free(source->path);
    free(source);
}

int audio_source_channels(const struct audio_source *source) { return source->channels; }

static bool audio_corrupt(const struct audio_source *source, struct error *err, const char *what) {
    return error_set(err, ERR_MEDIA_CORRUPT, "%s is damaged at %.3f s: %s", source->path, source->seconds, what);
}

static bool audio_open_stream(struct audio_source *source, struct error *err) {
    source->format = media_open(source->path, source->cancel, err);
    if (!source->format)
        return false;
    int best = av_find_best_stream(source->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (best < 0)
        return error_set(err, ERR_MEDIA_NO_AUDIO, "%s has no audio stream; give a file with speech", source->path);
    source->stream = source->format->streams[best];
    for (unsigned i = 0; i < source->format->nb_streams; i++)
        if ((int)i != best)
            source->format->streams[i]->discard = AVDISCARD_ALL;
    source->decoder = media_decoder(source->stream, 1, NULL, err);
    return source->decoder;
}

static bool make_resampler(struct audio_source *source, const AVFrame *frame, struct error *err) {
    AVChannelLayout from = {0}, to;
    if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&from, frame->ch_layout.nb_channels);
    else if (av_channel_layout_copy(&from, &frame->ch_layout) < 0)
        media_must(NULL);
    av_channel_layout_default(&to, source->channels);
    swr_free(&source->resampler);
    int status = swr_alloc_set_opts2(&source->resampler, &to, AV_SAMPLE_FMT_FLTP, source->rate, &from, frame->format,
                                     frame->sample_rate, 0, NULL);
    if (status >= 0) {
        av_opt_set_double(source->resampler, "rematrix_maxval", 1.0, 0); /* mixing down must not clip */
        status = swr_init(source->resampler);
    }
    av_channel_layout_uninit(&from);
    return status >= 0 || media_error(err, ERR_MEDIA_UNSUPPORTED, status,
                                      "the sound of %s (%d channels, %d Hz) cannot be mixed; convert it to stereo",
                                      source->path, frame->ch_layout.nb_channels, frame->sample_rate);
}

/* Resamples `frame` (NULL: what the resampler still holds) into the queue of ready samples. */
static bool audio_resample(struct audio_source *source, const AVFrame *frame, struct error *err) {
    int room = swr_get_out_samples(source->resampler, frame ? frame->nb_samples : 0);
    uint8_t *planes[2] = {NULL};
    if (av_samples_alloc(planes, NULL, source->channels, MAX(room, 1), AV_SAMPLE_FMT_FLTP, 0) < 0)
        media_must(NULL);
    int made = swr_convert(source->resampler, planes, room, frame ? (const uint8_t **)frame->extended_data : NULL,
                           frame ? frame->nb_samples : 0);
    if (made > 0 && av_audio_fifo_write(source->ready, (void **)planes, made) < made)
        media_must(NULL);
    av_freep(&planes[0]);
    return made >= 0 || audio_corrupt(source, err, av_err2str(made));
}

/* By how many seconds a WAV file is shorter than its header says. FFmpeg believes the file's size, not the header, so
 * the header is read here. */
static double seconds_cut_off(const struct audio_source *source) {
    _cleanup_fclose_ FILE *file = fopen(source->path, "rbe");
    unsigned char header[8];
    int64_t bytes = avio_size(source->format->pb), rate = source->stream->codecpar->bit_rate / 8;
    if (!file || fread(header, 1, sizeof header, file) != sizeof header || bytes <= 0 || rate <= 0)
        return 0;
    int64_t announced = AV_RL32(header + 4);
    return announced >= UNKNOWN_WAV_BYTES ? 0 : (double)(announced + 8 - bytes) / (double)rate;
}

static bool audio_check_complete(const struct audio_source *source, struct error *err) {
    const AVStream *stream = source->stream;
    double missing = 0;
    if (strcmp(source->format->iformat->name, "wav") == 0)
        missing = seconds_cut_off(source);
    else if (stream->duration > 0 && source->format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE)
        missing = (double)stream->duration * av_q2d(stream->time_base) - source->seconds;
    return missing <= SHORTFALL_SECONDS ||
           audio_corrupt(source, err, "the file ends before the length that it announces");
}

static bool audio_feed(struct audio_source *source, struct error *err) {
    int status;
    do {
        if (!media_go_on(source->cancel, err))
            return false;
        av_packet_unref(source->packet);
        status = av_read_frame(source->format, source->packet);
    } while (status == AVERROR(EAGAIN) || (status >= 0 && source->packet->stream_index != source->stream->index));
    if (!media_go_on(source->cancel, err)) /* a raised flag looks like the file's end to some demuxers */
        return false;
    if (status < 0 && status != AVERROR_EOF)
        return audio_corrupt(source, err, av_err2str(status));
    source->drained = status == AVERROR_EOF;
    status = avcodec_send_packet(source->decoder, source->drained ? NULL : source->packet);
    bool begun = source->resampler;
    return status >= 0 || status == AVERROR_EOF || !begun || audio_corrupt(source, err, av_err2str(status));
}

static bool check_sound(const struct audio_source *source, const AVFrame *frame, struct error *err) {
    double seconds = (double)frame->nb_samples / frame->sample_rate;
    return limit_check(LIMIT_SOUND_RATE, frame->sample_rate, source->path, err) &&
           limit_check(LIMIT_SOUND_PACKET_SECONDS, seconds, source->path, err) &&
           limit_check(LIMIT_SECONDS, source->seconds + seconds, source->path, err);
}

/* A stream may change its rate or layout midway: the old resampler is emptied, and a new one made. */
static bool audio_add_frame(struct audio_source *source, struct error *err) {
    const AVFrame *frame = source->decoded;
    if (!check_sound(source, frame, err))
        return false;
    struct shape shape = {frame->sample_rate, frame->ch_layout.nb_channels, frame->format};
    if (memcmp(&shape, &source->shape, sizeof shape) != 0) {
        if (source->resampler && !audio_resample(source, NULL, err))
            return false;
        if (!make_resampler(source, frame, err))
            return false;
        source->shape = shape;
    }
    source->seconds += (double)frame->nb_samples / frame->sample_rate;
    return audio_resample(source, frame, err);
}

static bool audio_finish(struct audio_source *source, struct error *err) {
    source->ended = true;
    if (!source->resampler)
        return error_set(err, ERR_MEDIA_EMPTY, "%s holds no sound that can be decoded", source->path);
    return audio_check_complete(source, err) && audio_resample(source, NULL, err);
}

/* One more frame from the decoder, or one more packet into it. */
static bool audio_advance(struct audio_source *source, struct error *err) {
    int status = avcodec_receive_frame(source->decoder, source->decoded);
    if (status >= 0)
        return audio_add_frame(source, err);
    if (status == AVERROR_EOF || (status == AVERROR(EAGAIN) && source->drained))
        return audio_finish(source, err);
    if (status == AVERROR(EAGAIN) || !source->resampler)
        return audio_feed(source, err);
    return audio_corrupt(source, err, av_err2str(status));
}

struct audio_source *audio_source_open(const char *path, int rate, int channels, const atomic_bool *cancel,
                                       struct error *err) {
    _cleanup_audio_source_ struct audio_source *source = xnew(struct audio_source);
    source->path = xstrdup(path);
    source->cancel = cancel;
    source->packet = media_must(av_packet_alloc());
    source->decoded = media_must(av_frame_alloc());
    if (!audio_open_stream(source, err))
        return NULL;
    source->rate = rate;
    source->channels = channels ? channels : MIN(MAX(source->stream->codecpar->ch_layout.nb_channels, 1), 2);
    source->ready = media_must(av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, source->channels, rate));
    return steal(source);
}

bool audio_source_read(struct audio_source *source, float *const *planes, int wanted, int *got, struct error *err) {
    while (!source->ended && av_audio_fifo_size(source->ready) < wanted)
        if (!audio_advance(source, err))
            return false;
    *got = av_audio_fifo_read(source->ready, (void **)planes, wanted);
    for (int c = 0; c < source->channels; c++)
        for (int i = 0; i < *got; i++)
            if (!isfinite(planes[c][i])) /* float files may hold them; they would poison encoders and networks */
                planes[c][i] = 0;
    return true;
}
