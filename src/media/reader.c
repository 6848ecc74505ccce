/* Reading video: exact frames, upright, with the film's own timestamps. Damage is an error, never a guessed picture. */
#include <libavutil/common.h>
#include <libavutil/pixdesc.h>
#include <string.h>

#include "base/memory.h"
#include "farm/limits.h"
#include "media/compat.h"
#include "media/picture.h"
#include "media/video.h"

/* Damage before the first picture is forgiven for this long, since a film may begin with pictures that depend on some
 * that were cut away. Transport streams (timestamps with gaps) are captures, which begin anywhere: theirs is always
 * forgiven. */
#define LEADING_SECONDS 0.2
/* Timestamps lie between these, in ticks: differences of two, and a day more, are still numbers. */
#define TIME_MAX (INT64_MAX / 4)
/* A container may promise this much more than it holds: durations are often rounded or cover a longer audio
 * packet. */
enum { SHORTFALL_SECONDS = 1 };

struct video_reader {
    char *path;
    const atomic_bool *cancel; /* borrowed; NULL: cannot be cancelled */
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *decoder;
    AVPacket *packet;
    struct SwsContext *scaler;
    struct upright upright;
    struct video_info info;
    AVFrame *ahead;          /* decoded, not yet returned; its pts counts from the first frame */
    int64_t ahead_index;     /* its number in the master */
    int64_t first_pts;       /* the first frame's, as the container counts */
    int64_t last_pts, step;  /* of the last decoded frame, and its duration */
    int64_t last_dts;        /* highest of the stream's packets */
    int64_t key_pts;         /* of the packet that decoding began with after a seek */
    int64_t furthest_us;     /* where the packets of all streams end */
    int64_t missing;         /* packets that went into the decoder, less frames that came out */
    bool from_start;         /* nothing was skipped since the start */
    bool at_key;             /* the packet that decoding begins with was found */
    bool forgave;            /* damage before the first frame */
    bool forgiving;          /* damage is skipped: before the first frame, and while a seek looks for its frame */
    bool timed;              /* a frame had a timestamp */
    bool drained;            /* the decoder was told that no packet follows */
    _Atomic int64_t refused; /* size of a picture over the limits, as media_decoder says */
};

void frame_free(struct frame *frame) {
    av_frame_free(&frame->picture);
    free(frame);
}

void video_close(struct video_reader *reader) {
    av_frame_free(&reader->ahead);
    sws_freeContext(reader->scaler);
    av_packet_free(&reader->packet);
    avcodec_free_context(&reader->decoder);
    avformat_close_input(&reader->format);
    free(reader->path);
    free(reader);
}

const struct video_info *video_reader_info(const struct video_reader *reader) { return &reader->info; }

static double reader_seconds(const struct video_reader *reader, int64_t pts) {
    return (double)pts * av_q2d(reader->stream->time_base);
}

static bool reader_corrupt(const struct video_reader *reader, struct error *err, const char *what) {
    int64_t end = reader->last_pts == AV_NOPTS_VALUE ? 0 : reader->last_pts + reader->step;
    return error_set(err, ERR_MEDIA_CORRUPT, "%s is damaged at %.3f s: %s", reader->path, reader_seconds(reader, end),
                     what);
}

/* --- packets --- */

static void note_packet(struct video_reader *reader, const AVPacket *packet) {
    const AVStream *stream = reader->format->streams[packet->stream_index];
    int64_t time = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    if (time != AV_NOPTS_VALUE)
        reader->furthest_us = MAX(
            reader->furthest_us, av_rescale_q(av_sat_add64(time, packet->duration), stream->time_base, AV_TIME_BASE_Q));
    if (stream == reader->stream && packet->dts != AV_NOPTS_VALUE)
        reader->last_dts = MAX(reader->last_dts, packet->dts);
}

/* At the start and after a seek everything before the first key packet is useless. */
static bool is_wanted(struct video_reader *reader, const AVPacket *packet) {
    if (packet->stream_index != reader->stream->index)
        return false;
    if (reader->at_key || packet->flags & AV_PKT_FLAG_KEY) {
        if (!reader->at_key)
            reader->key_pts = packet->pts;
        return reader->at_key = true;
    }
    return false;
}

/* At the end of the file: media.corrupt when it held less than the container's index or header announces. Formats whose
 * duration is only an estimate announce nothing. */
static bool reader_check_complete(struct video_reader *reader, struct error *err) {
    int entries = avformat_index_get_entries_count(reader->stream);
    const AVIndexEntry *last = entries > 0 ? avformat_index_get_entry(reader->stream, entries - 1) : NULL;
    if (last && reader->last_dts != INT64_MIN && last->timestamp > reader->last_dts &&
        strstr(reader->format->iformat->name, "mov"))
        return reader_corrupt(reader, err, "the file ends before its last frames");
    const AVFormatContext *format = reader->format;
    if (format->duration <= 0 || format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
        return true;
    int64_t start = format->start_time == AV_NOPTS_VALUE ? 0 : format->start_time;
    if (reader->furthest_us < av_sat_sub64(av_sat_add64(start, format->duration), SHORTFALL_SECONDS * AV_TIME_BASE))
        return reader_corrupt(reader, err, "the file ends before the length that it announces");
    return true;
}

/* No packet follows: is that the film's end? A flag that was raised looks like one to some demuxers. */
static bool packets_ended(struct video_reader *reader, int status, struct error *err) {
    if (!media_go_on(reader->cancel, err))
        return false;
    if (status == AVERROR_EOF)
        return !reader->from_start || reader_check_complete(reader, err);
    return reader->format->pb && reader->format->pb->error == AVERROR(EIO)
               ? media_error(err, ERR_IO, status, "cannot read %s", reader->path)
               : reader_corrupt(reader, err, av_err2str(status));
}

/* The stream's next packet into reader->packet; *end instead when there is none. */
static bool read_packet(struct video_reader *reader, bool *end, struct error *err) {
    for (;;) {
        if (!media_go_on(reader->cancel, err))
            return false;
        av_packet_unref(reader->packet);
        int status = av_read_frame(reader->format, reader->packet);
        if (status == AVERROR(EAGAIN))
            continue;
        *end = status < 0;
        if (*end)
            return packets_ended(reader, status, err);
        note_packet(reader, reader->packet);
        if (is_wanted(reader, reader->packet))
            return true;
    }
}

/* --- frames --- */

static bool is_damaged(const AVFrame *picture) {
    return picture->decode_error_flags || picture->flags & AV_FRAME_FLAG_CORRUPT;
}

static int64_t ticks_of(const struct video_reader *reader, int64_t seconds) {
    return av_rescale_q(seconds, (AVRational){1, 1}, reader->stream->time_base);
}

/* Whether the film and the step to this frame stay within the limits. So sums of its times cannot overflow. */
static bool check_times(const struct video_reader *reader, int64_t pts, int64_t step, struct error *err) {
    if (!reader->timed && !limit_check(LIMIT_UNTIMED_SECONDS, reader_seconds(reader, pts), reader->path, err))
        return false;
    if (pts <= ticks_of(reader, limit_most(LIMIT_SECONDS)) && step <= ticks_of(reader, limit_most(LIMIT_GAP_SECONDS)))
        return true;
    return limit_check(LIMIT_GAP_SECONDS, reader_seconds(reader, step), reader->path, err) &&
           limit_check(LIMIT_SECONDS, reader_seconds(reader, pts), reader->path, err);
}

/* Strictly ascending pts from the first frame on, whatever the file says. media.corrupt when it says what is no time,
 * media.limit. */
static bool reader_stamp(struct video_reader *reader, AVFrame *picture, struct error *err) {
    int64_t pts = picture->best_effort_timestamp;
    if (pts != AV_NOPTS_VALUE && (pts < -TIME_MAX || pts > TIME_MAX))
        return reader_corrupt(reader, err, "a timestamp is out of all range");
    if (reader->first_pts == AV_NOPTS_VALUE)
        reader->first_pts = pts == AV_NOPTS_VALUE ? 0 : pts;
    reader->timed = reader->timed || pts != AV_NOPTS_VALUE;
    bool first = reader->last_pts == AV_NOPTS_VALUE;
    if (pts == AV_NOPTS_VALUE)
        pts = first ? 0 : reader->last_pts + reader->step;
    else
        pts -= reader->first_pts;
    if (!first)
        pts = MAX(pts, reader->last_pts + 1);
    int64_t duration = compat_frame_duration(picture);
    if (duration <= 0 && !first)
        duration = pts - reader->last_pts;
    if (!check_times(reader, pts, MAX(duration, first ? 0 : pts - reader->last_pts), err))
        return false;
    reader->step = MAX(duration, 1);
    reader->last_pts = picture->pts = pts;
    return true;
}

static bool has_first_size(const struct video_reader *reader, const AVFrame *picture) {
    bool sideways = reader->upright.transpose;
    return picture->width == (sideways ? reader->info.height : reader->info.width) &&
           picture->height == (sideways ? reader->info.width : reader->info.height);
}

static bool reader_feed(struct video_reader *reader, struct error *err) {
    bool end = false;
    if (!read_packet(reader, &end, err))
        return false;
    reader->drained = end;
    int status = avcodec_send_packet(reader->decoder, end ? NULL : reader->packet);
    bool damaged = !end && reader->packet->flags & AV_PKT_FLAG_CORRUPT;
    if (!end && !(reader->packet->flags & AV_PKT_FLAG_DISCARD))
        reader->missing++;
    if ((status < 0 || damaged) && reader->forgiving)
        reader->forgave = true;
    else if (status < 0 || damaged)
        return reader_corrupt(reader, err, damaged ? "a part is missing" : av_err2str(status));
    return true;
}

/* At the end of the film: decoders that run in threads may lose an error, and the frame with it. It shows in H.264,
 * which has a frame for every packet. */
static bool check_all_came(const struct video_reader *reader, struct error *err) {
    if (reader->missing <= 0 || !reader->from_start || reader->forgave || reader->info.interlaced ||
        reader->decoder->codec_id != AV_CODEC_ID_H264 || reader->last_pts == AV_NOPTS_VALUE)
        return true;
    return reader_corrupt(reader, err, "some pictures cannot be decoded");
}

/* Decodes the next picture into reader->ahead, which stays NULL at the end. */
static bool reader_decode(struct video_reader *reader, struct error *err) {
    _cleanup_picture_ AVFrame *picture = media_must(av_frame_alloc());
    for (;;) {
        int status = avcodec_receive_frame(reader->decoder, picture);
        if (!media_check_refused(&reader->refused, reader->path, err))
            return false;
        if (status == AVERROR_EOF || (status == AVERROR(EAGAIN) && reader->drained))
            return check_all_came(reader, err);
        if (status == AVERROR(EAGAIN)) {
            if (!reader_feed(reader, err))
                return false;
            continue;
        }
        if (status >= 0 && !(is_damaged(picture) && reader->forgiving))
            break;
        reader->forgave = true;
        if (!reader->forgiving)
            return reader_corrupt(reader, err, av_err2str(status));
        if (status < 0 && reader->drained)
            return true;
        if (status < 0 && !reader_feed(reader, err)) /* the same error would come again and again */
            return false;
    }
    if (is_damaged(picture))
        return reader_corrupt(reader, err, "a picture cannot be decoded");
    if (reader->info.width && !has_first_size(reader, picture))
        return error_set(err, ERR_MEDIA_UNSUPPORTED,
                         "the picture of %s changes its size near %.3f s; convert it to one size", reader->path,
                         reader_seconds(reader, reader->last_pts));
    if (!reader_stamp(reader, picture, err))
        return false;
    reader->missing--;
    reader->ahead = steal(picture);
    return true;
}

bool video_next(struct video_reader *reader, struct frame **frame, struct error *err) {
    *frame = NULL;
    if (!reader->ahead)
        return true;
    _cleanup_picture_ AVFrame *picture = steal(reader->ahead);
    int64_t step = reader->step;
    if (!reader_decode(reader, err))
        return false;
    AVFrame *upright = picture_upright(picture, reader->info.pixel_format, &reader->upright, &reader->scaler, err);
    if (!upright)
        return error_wrap(err, "%s near %.3f s", reader->path, reader_seconds(reader, picture->pts));
    struct frame *made = *frame = xnew(struct frame);
    made->picture = upright;
    made->index = reader->ahead_index++;
    made->pts = picture->pts;
    made->duration = reader->ahead ? reader->ahead->pts - picture->pts : step;
    return true;
}

/* --- opening --- */

static int chosen_or(int from_frame, int unspecified, int from_stream) {
    return from_frame != unspecified ? from_frame : from_stream;
}

static bool has_audio(const AVFormatContext *format) {
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
            return true;
    return false;
}

/* From the first frame, upright, because decoders know more than containers. */
static void fill_info(struct video_reader *reader, const AVFrame *first) {
    const AVCodecParameters *parameters = reader->stream->codecpar;
    AVRational rate = av_guess_frame_rate(reader->format, reader->stream, NULL);
    AVRational average = reader->stream->avg_frame_rate;
    AVRational aspect = av_guess_sample_aspect_ratio(reader->format, reader->stream, NULL);
    struct video_info *info = &reader->info;
    info->width = first->width;
    info->height = first->height;
    info->time_base_num = reader->stream->time_base.num;
    info->time_base_den = reader->stream->time_base.den;
    info->rate_num = average.num > 0 && average.den > 0 ? average.num : rate.num;
    info->rate_den = average.num > 0 && average.den > 0 ? average.den : rate.den;
    info->pixel_format = first->format;
    info->bit_depth = av_pix_fmt_desc_get(first->format)->comp[0].depth;
    info->color_range = chosen_or(first->color_range, AVCOL_RANGE_UNSPECIFIED, parameters->color_range);
    info->color_primaries = chosen_or(first->color_primaries, AVCOL_PRI_UNSPECIFIED, parameters->color_primaries);
    info->color_transfer = chosen_or(first->color_trc, AVCOL_TRC_UNSPECIFIED, parameters->color_trc);
    info->color_space = chosen_or(first->colorspace, AVCOL_SPC_UNSPECIFIED, parameters->color_space);
    info->chroma_location = first->chroma_location;
    if (aspect.num > 0 && reader->upright.transpose)
        aspect = av_inv_q(aspect);
    info->aspect_num = aspect.num;
    info->aspect_den = aspect.num > 0 ? aspect.den : 1;
    info->interlaced = compat_frame_interlaced(first) ||
                       (parameters->field_order != AV_FIELD_UNKNOWN && parameters->field_order != AV_FIELD_PROGRESSIVE);
    info->has_audio = has_audio(reader->format);
    snprintf(info->codec, sizeof info->codec, "%s", avcodec_get_name(parameters->codec_id));
}

static bool choose_stream(struct video_reader *reader, struct error *err) {
    int best = av_find_best_stream(reader->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best < 0 || reader->format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return error_set(err, ERR_MEDIA_NO_VIDEO, "%s has no video stream; the master must be a film", reader->path);
    reader->stream = reader->format->streams[best];
    const AVCodecParameters *parameters = reader->stream->codecpar;
    if (!media_check_size(parameters->width, parameters->height, reader->path, err))
        return false;
    const int32_t *matrix = compat_stream_side_data(reader->stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof *matrix);
    reader->upright = upright_of(matrix, &reader->info.rotation);
    return true;
}

/* Decodes the first frame. Damage before it is skipped, but a missing beginning is an error, and so is any damage after
 * it. */
static bool reader_begin(struct video_reader *reader, struct error *err) {
    reader->first_pts = reader->last_pts = reader->key_pts = AV_NOPTS_VALUE;
    reader->last_dts = INT64_MIN;
    reader->from_start = reader->forgiving = true;
    reader->at_key = reader->forgave = false;
    reader->missing = 0;
    if (!reader_decode(reader, err))
        return false;
    reader->forgiving = false;
    if (!reader->ahead && reader->furthest_us > 0)
        return error_set(err, ERR_MEDIA_CORRUPT, "%s is damaged at 0.000 s: none of its pictures can be decoded",
                         reader->path);
    if (!reader->ahead)
        return error_set(err, ERR_MEDIA_EMPTY, "%s holds no frame that can be decoded", reader->path);
    int64_t start = reader->stream->start_time;
    bool is_capture = reader->format->iformat->flags & AVFMT_TS_DISCONT;
    if (!is_capture && start != AV_NOPTS_VALUE &&
        reader_seconds(reader, av_sat_sub64(reader->first_pts, start)) > LEADING_SECONDS)
        return error_set(err, ERR_MEDIA_CORRUPT, "%s is damaged at 0.000 s: its first pictures cannot be decoded",
                         reader->path);
    return true;
}

static bool reader_open_file(struct video_reader *reader, int threads, struct error *err) {
    reader->format = media_open(reader->path, reader->cancel, err);
    if (!reader->format || !choose_stream(reader, err))
        return false;
    reader->decoder = media_decoder(reader->stream, threads, &reader->refused, err);
    return reader->decoder && reader_begin(reader, err);
}

static bool learn_format(struct video_reader *reader, struct error *err) {
    enum AVPixelFormat coded = reader->ahead->format;
    reader->info.pixel_format = picture_nearest_format(coded, reader->upright.transpose);
    if (reader->info.pixel_format == AV_PIX_FMT_NONE)
        return error_set(err, ERR_MEDIA_UNSUPPORTED, "the pixel format %s of %s cannot be read; convert it to yuv420p",
                         av_get_pix_fmt_name(coded), reader->path);
    _cleanup_picture_ AVFrame *first =
        picture_upright(reader->ahead, reader->info.pixel_format, &reader->upright, &reader->scaler, err);
    if (!first)
        return false;
    fill_info(reader, first);
    const struct video_info *info = &reader->info;
    return info->rate_den <= 0 ||
           limit_check(LIMIT_FRAME_RATE, (double)info->rate_num / info->rate_den, reader->path, err);
}

struct video_reader *video_open(const char *path, int threads, const atomic_bool *cancel, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = xnew(struct video_reader);
    reader->path = xstrdup(path);
    reader->cancel = cancel;
    reader->packet = media_must(av_packet_alloc());
    if (!reader_open_file(reader, threads, err) || !learn_format(reader, err))
        return NULL;
    return steal(reader);
}

/* --- seeking --- */

static void reader_forget(struct video_reader *reader) {
    av_frame_free(&reader->ahead);
    avcodec_flush_buffers(reader->decoder);
    reader->from_start = reader->at_key = reader->drained = false;
    reader->last_pts = reader->key_pts = AV_NOPTS_VALUE;
    reader->forgiving = true; /* pictures that depend on those that were skipped may be broken */
}

/* Decodes up to `pts` from the key frame at or before `from`; *found says whether that led there. */
static bool seek_from(struct video_reader *reader, int64_t from, int64_t pts, bool *found, struct error *err) {
    *found = false;
    int64_t at = from + reader->first_pts;
    if (avformat_seek_file(reader->format, reader->stream->index, INT64_MIN, at, at, 0) < 0)
        return true;
    reader_forget(reader);
    do {
        av_frame_free(&reader->ahead);
        if (!reader_decode(reader, err))
            return false;
        if (!reader->ahead || reader->ahead->best_effort_timestamp == AV_NOPTS_VALUE ||
            (reader->key_pts != AV_NOPTS_VALUE && av_sat_sub64(reader->key_pts, reader->first_pts) > pts))
            return true;
    } while (reader->ahead->pts < pts);
    *found = reader->ahead->pts == pts;
    return true;
}

/* For files without a usable index: counts frames from the beginning. */
static bool seek_by_counting(struct video_reader *reader, int64_t pts, int64_t frame, struct error *err) {
    int threads = reader->decoder->thread_count;
    av_frame_free(&reader->ahead);
    avcodec_free_context(&reader->decoder);
    avformat_close_input(&reader->format);
    reader->drained = false;
    if (!reader_open_file(reader, threads, err))
        return false;
    for (int64_t i = 0; i < frame && reader->ahead; i++) {
        av_frame_free(&reader->ahead);
        if (!reader_decode(reader, err))
            return false;
    }
    if (reader->ahead && reader->ahead->pts == pts)
        return true;
    return error_set(err, ERR_MEDIA_INVALID,
                     "%s has no frame %lld at %.3f s; has the file changed since it was planned?", reader->path,
                     (long long)frame, reader_seconds(reader, pts));
}

bool video_seek(struct video_reader *reader, int64_t pts, int64_t frame, struct error *err) {
    static const int back_seconds[] = {0, 2, 10, 60};
    bool found = reader->ahead && reader->ahead->pts == pts;
    for (size_t i = 0; i < ARRAY_LENGTH(back_seconds) && !found; i++) {
        if (!seek_from(reader, pts - ticks_of(reader, back_seconds[i]), pts, &found, err))
            return false;
    }
    if (!found && !seek_by_counting(reader, pts, frame, err))
        return false;
    reader->forgiving = false;
    reader->ahead_index = frame;
    return true;
}
