#include "media/picture.h"

#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <math.h>

struct upright upright_of(const int32_t *matrix, int *degrees) {
    *degrees = 0;
    if (!matrix)
        return (struct upright){0};
    /* The upright axis along which a coded row runs: the larger coefficient decides (quarter turns only). */
    bool transpose = llabs(matrix[1]) > llabs(matrix[0]);
    struct upright upright = {transpose, transpose ? matrix[3] < 0 : matrix[0] < 0,
                              transpose ? matrix[1] < 0 : matrix[4] < 0};
    double counter_clockwise = av_display_rotation_get(matrix);
    if (!isnan(counter_clockwise))
        *degrees = ((int)lround(-counter_clockwise / 90) * 90 + 360) % 360;
    return upright;
}

static enum AVPixelFormat planar_format(int log2_width, int log2_height, bool deep) {
    if (log2_height > 0)
        return deep ? AV_PIX_FMT_YUV420P10 : AV_PIX_FMT_YUV420P;
    if (log2_width > 0)
        return deep ? AV_PIX_FMT_YUV422P10 : AV_PIX_FMT_YUV422P;
    return deep ? AV_PIX_FMT_YUV444P10 : AV_PIX_FMT_YUV444P;
}

enum AVPixelFormat picture_nearest_format(enum AVPixelFormat format, bool transpose) {
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(format);
    if (!description || !sws_isSupportedInput(format))
        return AV_PIX_FMT_NONE;
    bool deep = description->comp[0].depth > 8;
    bool yuv = description->nb_components >= 3 && !(description->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
    bool sideways = transpose && description->log2_chroma_w != description->log2_chroma_h;
    return yuv && !sideways ? planar_format(description->log2_chroma_w, description->log2_chroma_h, deep)
                            : planar_format(1, 1, deep);
}

/* yuvj420p and its like are the plain formats with another default range. */
static enum AVPixelFormat without_j(enum AVPixelFormat format) {
    switch (format) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return format;
    }
}

static bool is_rgb(const AVFrame *picture) {
    return av_pix_fmt_desc_get(picture->format)->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL);
}

/* RGB has no matrix of its own: BT.709 for high definition, BT.601 below, limited range, as encoders expect.
 */
static void convert_tags(const AVFrame *from, AVFrame *to) {
    if (!is_rgb(from))
        return;
    to->colorspace = from->height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    to->color_range = AVCOL_RANGE_MPEG;
}

static AVFrame *convert_picture(const AVFrame *from, enum AVPixelFormat format, struct SwsContext **scaler,
                                struct error *err) {
    *scaler = sws_getCachedContext(*scaler, from->width, from->height, from->format, from->width, from->height, format,
                                   SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!*scaler) {
        error_set(err, ERR_MEDIA_UNSUPPORTED, "the pixel format %s cannot be converted to %s; convert the film to it",
                  av_get_pix_fmt_name(from->format), av_get_pix_fmt_name(format));
        return NULL;
    }
    AVFrame *to = media_new_picture(format, from->width, from->height);
    if (av_frame_copy_props(to, from) < 0)
        media_must(NULL);
    convert_tags(from, to);
    const int *matrix = sws_getCoefficients(to->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601);
    bool full = from->color_range == AVCOL_RANGE_JPEG;
    sws_setColorspaceDetails(*scaler, matrix, full || is_rgb(from), matrix, to->color_range == AVCOL_RANGE_JPEG, 0,
                             1 << 16, 1 << 16);
    sws_scale(*scaler, (const uint8_t *const *)from->data, from->linesize, 0, from->height, to->data, to->linesize);
    return to;
}

/* to(x, y) = from[y * step_y + x * step_x], in samples. */
#define COPY_TURNED(type)                                                                                              \
    static void copy_turned_##type(const type *from, ptrdiff_t step_x, ptrdiff_t step_y, type *to, ptrdiff_t stride,   \
                                   int width, int height) {                                                            \
        for (int y = 0; y < height; y++)                                                                               \
            for (int x = 0; x < width; x++)                                                                            \
                to[y * stride + x] = from[y * step_y + x * step_x];                                                    \
    }
COPY_TURNED(uint8_t)
COPY_TURNED(uint16_t)

static void turn_plane(const AVFrame *from, AVFrame *to, int plane, int width, int height,
                       const struct upright *upright) {
    ptrdiff_t bytes = av_pix_fmt_desc_get(from->format)->comp[0].depth > 8 ? 2 : 1;
    ptrdiff_t row = from->linesize[plane], step_x = upright->transpose ? row : bytes;
    ptrdiff_t step_y = upright->transpose ? bytes : row;
    const uint8_t *origin = from->data[plane];
    if (upright->flip_x) {
        origin += (width - 1) * step_x;
        step_x = -step_x;
    }
    if (upright->flip_y) {
        origin += (height - 1) * step_y;
        step_y = -step_y;
    }
    if (bytes == 1)
        copy_turned_uint8_t(origin, step_x, step_y, to->data[plane], to->linesize[plane], width, height);
    else
        copy_turned_uint16_t((const uint16_t *)origin, step_x / 2, step_y / 2, (uint16_t *)to->data[plane],
                             to->linesize[plane] / 2, width, height);
}

/* Where the chroma samples sit after a turn; what has no name becomes unspecified. */
static enum AVChromaLocation turned_location(enum AVChromaLocation location, const struct upright *upright) {
    if (location == AVCHROMA_LOC_CENTER || !(upright->transpose || upright->flip_x || upright->flip_y))
        return location;
    if (location == AVCHROMA_LOC_LEFT && upright->transpose)
        return upright->flip_y ? AVCHROMA_LOC_BOTTOM : AVCHROMA_LOC_TOP;
    return location == AVCHROMA_LOC_LEFT && !upright->flip_x ? AVCHROMA_LOC_LEFT : AVCHROMA_LOC_UNSPECIFIED;
}

static AVFrame *turn_picture(const AVFrame *from, const struct upright *upright) {
    bool transpose = upright->transpose;
    AVFrame *to =
        media_new_picture(from->format, transpose ? from->height : from->width, transpose ? from->width : from->height);
    if (av_frame_copy_props(to, from) < 0)
        media_must(NULL);
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(from->format);
    for (int plane = 0; plane < 3; plane++)
        turn_plane(from, to, plane, plane ? AV_CEIL_RSHIFT(to->width, description->log2_chroma_w) : to->width,
                   plane ? AV_CEIL_RSHIFT(to->height, description->log2_chroma_h) : to->height, upright);
    if (transpose && from->sample_aspect_ratio.num)
        to->sample_aspect_ratio = av_inv_q(from->sample_aspect_ratio);
    to->chroma_location = turned_location(from->chroma_location, upright);
    av_frame_remove_side_data(to, AV_FRAME_DATA_DISPLAYMATRIX);
    return to;
}

AVFrame *picture_upright(const AVFrame *coded, enum AVPixelFormat format, const struct upright *upright,
                         struct SwsContext **scaler, struct error *err) {
    AVFrame *planar = NULL;
    if (without_j(coded->format) == format) {
        planar = media_must(av_frame_clone(coded));
        if (planar->format != (int)format) {
            planar->format = format;
            planar->color_range = AVCOL_RANGE_JPEG;
        }
    } else {
        planar = convert_picture(coded, format, scaler, err);
    }
    if (!planar || (!upright->transpose && !upright->flip_x && !upright->flip_y))
        return planar;
    AVFrame *turned = turn_picture(planar, upright);
    av_frame_free(&planar);
    return turned;
}
