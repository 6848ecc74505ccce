#include "picture/enlarge.h"

#include "base/memory.h"

enum {
    TILE = 256,  /* pixels of the picture that a tile gives */
    MARGIN = 16, /* seen around them, so that neighbours agree at the seam: ESRGAN's usual tile padding is 10 */
};

struct enlarging {
    struct enhance *enhance;
    const uint8_t *rgb;
    int width, height, inner, scale; /* inner: of a tile without its margin */
    float *in, *made;                /* planes of one tile */
    uint8_t *out;
};

/* The tile's pixels and its margin; beyond the picture its border repeats. */
static void cut_tile(const struct enlarging *e, int left, int top) {
    int side = e->inner + 2 * MARGIN;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int from_y = CLAMP(top + y - MARGIN, 0, e->height - 1), from_x = CLAMP(left + x - MARGIN, 0, e->width - 1);
            const uint8_t *pixel = e->rgb + 3 * ((size_t)from_y * (size_t)e->width + (size_t)from_x);
            for (int c = 0; c < 3; c++)
                e->in[(c * side + y) * side + x] = (float)pixel[c] / 255;
        }
}

static void paste_tile(const struct enlarging *e, int left, int top) {
    int side = (e->inner + 2 * MARGIN) * e->scale, margin = MARGIN * e->scale, out_width = e->width * e->scale;
    int right = MIN(left + e->inner, e->width) * e->scale, bottom = MIN(top + e->inner, e->height) * e->scale;
    for (int y = top * e->scale; y < bottom; y++)
        for (int x = left * e->scale; x < right; x++)
            for (int c = 0; c < 3; c++) {
                int from_y = y - top * e->scale + margin, from_x = x - left * e->scale + margin;
                float value = e->made[(c * side + from_y) * side + from_x];
                e->out[3 * ((size_t)y * (size_t)out_width + (size_t)x) + (size_t)c] = (uint8_t)(value * 255 + 0.5f);
            }
}

static bool enlarge_tiles(const struct enlarging *e, const atomic_bool *cancel, struct error *err) {
    for (int top = 0; top < e->height; top += e->inner)
        for (int left = 0; left < e->width; left += e->inner) {
            if (cancel && atomic_load(cancel))
                return error_set(err, ERR_CANCELLED, "the job was told to stop");
            cut_tile(e, left, top);
            if (!enhance_run(e->enhance, e->inner + 2 * MARGIN, e->in, e->made, err))
                return false;
            paste_tile(e, left, top);
        }
    return true;
}

bool enlarge_picture(struct enhance *enhance, const uint8_t *rgb, int width, int height, uint8_t *out,
                     const atomic_bool *cancel, struct error *err) {
    int scale = enhance_scale(enhance), inner = MIN(MAX(width, height), TILE);
    size_t side = (size_t)(inner + 2 * MARGIN), large = side * (size_t)scale;
    _cleanup_free_ float *in = xnew_array(float, 3 * side * side), *made = xnew_array(float, 3 * large * large);
    struct enlarging enlarging = {enhance, rgb, width, height, inner, scale, in, made, out};
    return enlarge_tiles(&enlarging, cancel, err);
}
