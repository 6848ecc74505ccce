/* A face track, and the picture operations that a dub does with what it says. */
#include <libavutil/frame.h>
#include <math.h>

#include "dub/track_file.h"
#include "fuzz.h"

enum { WIDTH = 32, HEIGHT = 24, SIZE = 16 };

static struct frame picture(void) {
    struct frame frame = {.picture = av_frame_alloc()};
    frame.picture->format = 0; /* yuv420p */
    frame.picture->width = WIDTH;
    frame.picture->height = HEIGHT;
    ensure(av_frame_get_buffer(frame.picture, 0) >= 0);
    for (int i = 0; i < 3; i++)
        memset(frame.picture->data[i], 100, (size_t)frame.picture->linesize[i] * (size_t)(i ? HEIGHT / 2 : HEIGHT));
    return frame;
}

static void dub_frame(struct frame *frame, const struct track_frame *at) {
    static const struct point wanted[TRACK_ALIGN] = {{4, 5}, {11, 5}, {8, 8}, {5, 12}, {10, 12}};
    static float rgb[3 * SIZE * SIZE], mask[SIZE * SIZE];
    struct affine crop_to_frame = affine_similarity(wanted, at->align, TRACK_ALIGN);
    struct affine frame_to_crop = affine_inverse(crop_to_frame);
    struct point outline[TRACK_OUTLINE];
    image_crop(frame, &crop_to_frame, SIZE, rgb);
    for (int i = 0; i < TRACK_OUTLINE; i++)
        outline[i] = affine_apply(&frame_to_crop, at->outline[i]);
    image_mask_polygon(outline, TRACK_OUTLINE, SIZE, 1.5F, mask);
    for (int i = 0; i < SIZE * SIZE; i++)
        ensure(mask[i] >= 0 && mask[i] <= 1);
    image_blend(frame, &crop_to_frame, SIZE, rgb, mask);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    _cleanup_buffer_ struct buffer buffer = {0};
    _cleanup_track_ struct track track = {0};
    buffer_append(&buffer, bytes, length);
    if (!track_read(&buffer, &track, &err))
        return 0;
    ensure(track.count >= 1);
    _cleanup_json_ json_t *faceless = track_faceless(&track, 7);
    ensure(json_array_size(faceless) <= (size_t)track.count);
    track_smooth(&track);
    struct frame frame = picture();
    for (int64_t i = 0; i < track.count; i++) {
        const struct track_frame *at = &track.frames[i];
        ensure(at->duration > 0 && at->shot >= 0 && (i == 0 || at->pts > track.frames[i - 1].pts));
        for (int k = 0; k < TRACK_ALIGN && at->present; k++)
            ensure(isfinite(at->align[k].x) && isfinite(at->align[k].y));
        if (at->present)
            dub_frame(&frame, at);
    }
    av_frame_free(&frame.picture);
    return 0;
}
