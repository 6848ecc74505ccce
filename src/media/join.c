/* Joining segments: video packets are copied, the speech is encoded once for the whole film. */
#include <libavutil/channel_layout.h>
#include <string.h>

#include "base/memory.h"
#include "media/audio_source.h"
#include "media/compat.h"
#include "media/video.h"

/* 48 kHz is what players and broadcasters expect beside video; 96 and 160 kbit/s are transparent for speech.
 */
enum { JOIN_RATE = 48000, MONO_BITS = 96000, STEREO_BITS = 160000 };
/* The longest reordering that H.264 allows. */
enum { MAX_DELAY = 16 };

struct joiner {
    const struct video_join *join;
    AVFormatContext *format;
    AVStream *video, *sound;
    AVPacket *packet;
    /* Decoding timestamps are made anew, over the borders of segments: packet n is decoded when the frame
     * that is shown as number n - delay is due. */
    int64_t due[MAX_DELAY + 2];
    int due_count, delay;
    int64_t packets, last_pts, end_pts; /* in ticks of the file: 1/time_base_den */

    struct audio_source *source;
    AVCodecContext *encoder;
    int64_t samples_done, samples_end;
};

static void joiner_free(struct joiner *joiner) {
    if (joiner->source)
        audio_source_free(joiner->source);
    avcodec_free_context(&joiner->encoder);
    av_packet_free(&joiner->packet);
    if (joiner->format)
        media_output_free(joiner->format);
}

/* --- the speech --- */

static bool open_sound(struct joiner *joiner, struct error *err) {
    joiner->source = audio_source_open(joiner->join->speech, JOIN_RATE, 0, joiner->join->cancel, err);
    if (!joiner->source)
        return false;
    int channels = audio_source_channels(joiner->source);
    AVCodecContext *encoder = joiner->encoder =
        media_must(avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_AAC)));
    av_channel_layout_default(&encoder->ch_layout, channels);
    encoder->sample_rate = JOIN_RATE;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    encoder->bit_rate = channels == 1 ? MONO_BITS : STEREO_BITS;
    encoder->time_base = (AVRational){1, JOIN_RATE};
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int status = avcodec_open2(encoder, NULL, NULL);
    if (status < 0)
        return media_error(err, ERR_MEDIA_ENCODE, status, "cannot encode the speech as AAC");
    joiner->sound = media_must(avformat_new_stream(joiner->format, NULL));
    joiner->sound->time_base = encoder->time_base;
    if (avcodec_parameters_from_context(joiner->sound->codecpar, encoder) < 0)
        media_must(NULL);
    return true;
}

static bool write_sound(struct joiner *joiner, struct error *err) {
    for (;;) {
        int status = avcodec_receive_packet(joiner->encoder, joiner->packet);
        if (status == AVERROR(EAGAIN) || status == AVERROR_EOF)
            return true;
        if (status < 0)
            return media_error(err, ERR_MEDIA_ENCODE, status, "encoding the speech failed");
        joiner->packet->stream_index = joiner->sound->index;
        av_packet_rescale_ts(joiner->packet, joiner->encoder->time_base, joiner->sound->time_base);
        status = av_interleaved_write_frame(joiner->format, joiner->packet);
        if (status < 0)
            return media_error(err, ERR_IO, status, "cannot write the speech");
    }
}

/* Encodes one AAC frame, silence where the speech has ended. The last one is cut at the video's end. */
static bool encode_sound(struct joiner *joiner, struct error *err) {
    _cleanup_picture_ AVFrame *frame = media_must(av_frame_alloc());
    int channels = joiner->encoder->ch_layout.nb_channels;
    int64_t left = joiner->samples_end - joiner->samples_done;
    frame->nb_samples = (int)MIN(left, joiner->encoder->frame_size);
    frame->format = AV_SAMPLE_FMT_FLTP;
    frame->sample_rate = JOIN_RATE;
    frame->pts = joiner->samples_done;
    if (av_channel_layout_copy(&frame->ch_layout, &joiner->encoder->ch_layout) < 0 || av_frame_get_buffer(frame, 0) < 0)
        media_must(NULL);
    int got = 0;
    if (!audio_source_read(joiner->source, (float **)frame->extended_data, frame->nb_samples, &got, err))
        return false;
    for (int c = 0; c < channels; c++)
        memset((float *)frame->extended_data[c] + got, 0, sizeof(float) * (size_t)(frame->nb_samples - got));
    joiner->samples_done += frame->nb_samples;
    int status = avcodec_send_frame(joiner->encoder, frame);
    return status >= 0 ? write_sound(joiner, err)
                       : media_error(err, ERR_MEDIA_ENCODE, status, "encoding the speech failed");
}

/* Encodes the sound up to `samples`, where the video is, so that the muxer holds little back to interleave the two. */
static bool sound_until(struct joiner *joiner, int64_t samples, struct error *err) {
    while (joiner->samples_done < MIN(samples, joiner->samples_end))
        if (!encode_sound(joiner, err))
            return false;
    return true;
}

static bool end_sound(struct joiner *joiner, struct error *err) {
    if (!sound_until(joiner, INT64_MAX, err))
        return false;
    int status = avcodec_send_frame(joiner->encoder, NULL);
    return status >= 0 ? write_sound(joiner, err)
                       : media_error(err, ERR_MEDIA_ENCODE, status, "encoding the speech failed");
}

/* --- the video --- */

static bool check_same(const struct joiner *joiner, const AVCodecParameters *these, const char *segment,
                       struct error *err) {
    const AVCodecParameters *first = joiner->video->codecpar;
    if (these->codec_id == first->codec_id && these->width == first->width && these->height == first->height &&
        these->extradata_size == first->extradata_size &&
        memcmp(these->extradata, first->extradata, (size_t)first->extradata_size) == 0)
        return true;
    return error_set(err, ERR_MEDIA_ENCODE,
                     "segment %s was encoded with other settings than the first one; are all workers of one version?",
                     segment);
}

static AVFormatContext *open_segment(const struct video_join *join, size_t i, struct error *err) {
    const char *path = join->segments[i];
    _cleanup_input_ AVFormatContext *segment = media_open(path, join->cancel, err);
    if (!segment)
        return NULL;
    if (segment->nb_streams != 1 || segment->streams[0]->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) {
        error_set(err, ERR_MEDIA_INVALID, "%s is not a segment: it must hold one video stream", path);
        return NULL;
    }
    return steal(segment);
}

static void open_video(struct joiner *joiner, const AVStream *first) {
    joiner->video = media_must(avformat_new_stream(joiner->format, NULL));
    if (avcodec_parameters_copy(joiner->video->codecpar, first->codecpar) < 0)
        media_must(NULL);
    compat_copy_hdr(first, joiner->video);
    joiner->video->codecpar->codec_tag = 0;
    joiner->video->time_base = (AVRational){1, joiner->join->info->time_base_den};
    joiner->video->sample_aspect_ratio = first->sample_aspect_ratio;
    joiner->video->avg_frame_rate = first->avg_frame_rate;
    joiner->delay = CLAMP(first->codecpar->video_delay, 0, MAX_DELAY);
}

/* The next packet's decoding time. `due` holds the presentation times that were not yet passed on, ascending.
 */
static int64_t next_dts(struct joiner *joiner, int64_t pts) {
    const struct video_info *info = joiner->join->info;
    int i = joiner->due_count++;
    for (; i > 0 && joiner->due[i - 1] > pts; i--)
        joiner->due[i] = joiner->due[i - 1];
    joiner->due[i] = pts;
    int64_t early = joiner->delay - joiner->packets++;
    if (early > 0) { /* before the film begins: one average frame apart */
        int64_t step = info->rate_num > 0 ? (int64_t)info->time_base_den * info->rate_den / info->rate_num : 1;
        return -early * MAX(step, 1);
    }
    int64_t dts = joiner->due[0];
    memmove(joiner->due, joiner->due + 1, (size_t)--joiner->due_count * sizeof *joiner->due);
    return dts;
}

static bool write_video(struct joiner *joiner, int64_t start, struct error *err) {
    AVPacket *packet = joiner->packet;
    packet->pts += start;
    packet->dts = next_dts(joiner, packet->pts);
    int64_t left = joiner->end_pts - packet->pts;
    packet->duration = packet->pts == joiner->last_pts ? left : MIN(packet->duration, left);
    packet->stream_index = joiner->video->index;
    packet->pos = -1;
    int status = av_interleaved_write_frame(joiner->format, packet);
    return status >= 0 || media_error(err, ERR_IO, status, "cannot write the video");
}

static bool copy_segment(struct joiner *joiner, size_t i, struct error *err) {
    const char *path = joiner->join->segments[i];
    _cleanup_input_ AVFormatContext *segment = open_segment(joiner->join, i, err);
    if (!segment || !check_same(joiner, segment->streams[0]->codecpar, path, err))
        return false;
    int64_t start = joiner->join->segment_start_pts[i] * joiner->join->info->time_base_num;
    AVRational ticks = {1, joiner->join->info->time_base_den};
    for (;;) {
        int status = av_read_frame(segment, joiner->packet);
        if (!media_go_on(joiner->join->cancel, err))
            return false;
        if (status == AVERROR_EOF)
            return true;
        if (status < 0)
            return media_error(err, ERR_MEDIA_CORRUPT, status, "segment %s cannot be read", path);
        av_packet_rescale_ts(joiner->packet, segment->streams[0]->time_base, ticks);
        if (!write_video(joiner, start, err) ||
            !sound_until(joiner, av_rescale_q(joiner->due[0], ticks, (AVRational){1, JOIN_RATE}), err))
            return false;
    }
}

/* When the film's last frame is shown: its packet is not always the last one. */
static bool find_last_pts(struct joiner *joiner, struct error *err) {
    const struct video_join *join = joiner->join;
    size_t last = join->segment_count - 1;
    _cleanup_input_ AVFormatContext *segment = open_segment(join, last, err);
    if (!segment)
        return false;
    int64_t pts = 0;
    while (av_read_frame(segment, joiner->packet) >= 0) {
        pts = MAX(pts, joiner->packet->pts);
        av_packet_unref(joiner->packet);
        if (!media_go_on(join->cancel, err))
            return false;
    }
    joiner->last_pts = join->segment_start_pts[last] * join->info->time_base_num +
                       av_rescale_q(pts, segment->streams[0]->time_base, (AVRational){1, join->info->time_base_den});
    return true;
}

static bool joiner_open_output(struct joiner *joiner, const char *path, struct error *err) {
    const struct video_join *join = joiner->join;
    _cleanup_input_ AVFormatContext *first = open_segment(join, 0, err);
    if (!first || !find_last_pts(joiner, err))
        return false;
    joiner->format = media_create(path, join->cancel);
    open_video(joiner, first->streams[0]);
    if (!open_sound(joiner, err))
        return false;
    _cleanup_options_ AVDictionary *options = NULL;
    av_dict_set_int(&options, "video_track_timescale", join->info->time_base_den, 0);
    av_dict_set(&options, "movflags", "+faststart", 0);
    return media_begin(joiner->format, path, &options, err);
}

static bool join_all(struct joiner *joiner, const char *path, struct error *err) {
    if (!joiner_open_output(joiner, path, err))
        return false;
    for (size_t i = 0; i < joiner->join->segment_count; i++)
        if (!copy_segment(joiner, i, err))
            return false;
    return end_sound(joiner, err) && media_end(joiner->format, err);
}

bool video_join_segments(const char *path, const struct video_join *join, struct error *err) {
    if (join->segment_count == 0)
        return error_set(err, ERR_MEDIA_EMPTY, "there is no segment to join");
    AVRational time_base = {join->info->time_base_num, join->info->time_base_den};
    _cleanup_(joiner_free) struct joiner joiner = {
        .join = join,
        .packet = media_must(av_packet_alloc()),
        .end_pts = join->end_pts * join->info->time_base_num,
        .samples_end = av_rescale_q(join->end_pts, time_base, (AVRational){1, JOIN_RATE}),
    };
    if (join_all(&joiner, path, err))
        return true;
    if (joiner.format)
        unlink(path);
    return false;
}
