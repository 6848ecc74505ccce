/* Pictures made upright and brought to a format that the image operations know. Only for the .c files of this room. */
#pragma once

#include "media/ffmpeg.h"

/* How a coded picture becomes upright: first transposed, then flipped. */
struct upright {
    bool transpose, flip_x, flip_y;
};
/* From a display matrix (NULL: none), rounded to quarter turns; *degrees clockwise. */
struct upright upright_of(const int32_t *matrix, int *degrees);
/* The format of this room that is nearest to `format`: planar YUV, 8 or 10 bit, 4:2:0, 4:2:2 or 4:4:4 (4:2:0
 * where a transposed 4:2:2 has no such format). AV_PIX_FMT_NONE when swscale cannot read `format`. */
enum AVPixelFormat picture_nearest_format(enum AVPixelFormat format, bool transpose);
/* A new picture (or a new reference to the same pixels when nothing is to do), upright and in `format`.
 * *scaler is kept between calls; sws_freeContext it. media.unsupported when it cannot be converted. */
AVFrame *picture_upright(const AVFrame *coded, enum AVPixelFormat format, const struct upright *upright,
                         struct SwsContext **scaler, struct error *err) must_check;
