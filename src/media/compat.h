/* The few places where FFmpeg 5.1 to 7 differ. Only for the .c files of this room. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline int64_t compat_frame_duration(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    return frame->duration;
#else
    return frame->pkt_duration;
#endif
}

static inline bool compat_frame_interlaced(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return frame->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return frame->interlaced_frame;
#endif
}

/* Borrowed; NULL when the stream has no such side data of at least `size` bytes. */
static inline const void *compat_stream_side_data(const AVStream *stream, enum AVPacketSideDataType type, size_t size) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
    const AVPacketSideData *found =
        av_packet_side_data_get(stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, type);
    return found && found->size >= size ? found->data : NULL;
#else
    size_t found = 0;
    const void *data = av_stream_get_side_data(stream, type, &found);
    return found >= size ? data : NULL;
#endif
}

/* Copies `size` bytes onto the stream; false when out of memory. */
static inline bool compat_stream_set_side_data(AVStream *stream, enum AVPacketSideDataType type, const void *data,
                                               size_t size) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
    AVPacketSideData *made = av_packet_side_data_new(&stream->codecpar->coded_side_data,
                                                     &stream->codecpar->nb_coded_side_data, type, size, 0);
    void *to = made ? made->data : NULL;
#else
    void *to = av_stream_new_side_data(stream, type, size);
#endif
    if (to)
        memcpy(to, data, size);
    return to;
}

/* What avcodec_parameters_copy leaves behind before coded_side_data: HDR's mastering display and light level.
 */
static inline void compat_copy_hdr(const AVStream *from, AVStream *to) {
#if LIBAVCODEC_VERSION_INT < AV_VERSION_INT(60, 31, 100)
    static const enum AVPacketSideDataType kinds[] = {AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
                                                      AV_PKT_DATA_CONTENT_LIGHT_LEVEL};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t size = 0;
        const void *data = av_stream_get_side_data(from, kinds[i], &size);
        if (data && !compat_stream_set_side_data(to, kinds[i], data, size))
            abort();
    }
#endif
}
