#include "picture/thumb.h"

#include "base/cleanup.h"

void thumb_fit(size_t side, size_t width, size_t height, size_t *out_width, size_t *out_height) {
    size_t longest = MAX(width, height);
    *out_width = longest <= side ? width : MAX(width * side / longest, 1);
    *out_height = longest <= side ? height : MAX(height * side / longest, 1);
}

static void mean_pixel(const uint8_t *rgb, size_t stride, size_t x0, size_t x1, size_t y0, size_t y1, uint8_t *out) {
    uint32_t sums[3] = {0}, count = (uint32_t)((x1 - x0) * (y1 - y0));
    for (size_t y = y0; y < y1; y++)
        for (size_t x = x0; x < x1; x++)
            for (size_t c = 0; c < 3; c++)
                sums[c] += rgb[(y * stride + x) * 3 + c];
    for (size_t c = 0; c < 3; c++)
        out[c] = (uint8_t)((sums[c] + count / 2) / count);
}

void thumb_shrink(const uint8_t *rgb, size_t stride, size_t width, size_t height, uint8_t *out, size_t out_stride,
                  size_t out_width, size_t out_height) {
    for (size_t y = 0; y < out_height; y++)
        for (size_t x = 0; x < out_width; x++) {
            size_t x0 = x * width / out_width, x1 = (x + 1) * width / out_width;
            size_t y0 = y * height / out_height, y1 = (y + 1) * height / out_height;
            mean_pixel(rgb, stride, x0, MAX(x1, x0 + 1), y0, MAX(y1, y0 + 1), out + (y * out_stride + x) * 3);
        }
}
