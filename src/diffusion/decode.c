/* From latents to pixels, in tiles where it is wished. */
#include <string.h>

#include "base/memory.h"
#include "diffusion/rgb.h"
#include "diffusion/sample.h"

/* Along one side, in latents: tiles of one length, spread evenly from end to end. */
struct tiling {
    int size, length, count;
};

static struct tiling tiling_of(int size, int tile) {
    if (tile == 0 || size <= tile)
        return (struct tiling){size, size, 1};
    int step = tile - tile / 4;
    return (struct tiling){size, tile, 1 + (size - tile + step - 1) / step};
}

static int tile_begin(const struct tiling *tiling, int index) {
    return index == 0 ? 0 : (int)((int64_t)(tiling->size - tiling->length) * index / (tiling->count - 1));
}

/* How much a pixel counts at a distance from a tile's end where there is another tile: not at all where the end itself
 * can be seen, then more and more. */
static float fade_in(const struct tiling *tiling, int distance) {
    int overlap = tiling->length / 4 * LATENT_PIXELS, blind = overlap / 4;
    return CLAMP(((float)(distance - blind) + 0.5F) / (float)(overlap - 2 * blind), 0.0F, 1.0F);
}

static float tile_weight(const struct tiling *tiling, int index, int pixel) {
    float weight = index > 0 ? fade_in(tiling, pixel) : 1;
    return index + 1 < tiling->count ? weight * fade_in(tiling, tiling->length * LATENT_PIXELS - 1 - pixel) : weight;
}

/* A picture that is put together: the sum of weighted tiles, and of their weights. */
struct canvas {
    const struct sample_networks *networks;
    const float *latents; /* as the decoder wants them */
    struct tiling rows, columns;
    float *planes, *weights;
};

static void copy_latents(const struct canvas *canvas, int top, int left, float *out) {
    size_t height = (size_t)canvas->rows.length, width = (size_t)canvas->columns.length;
    size_t stride = (size_t)canvas->columns.size, plane = stride * (size_t)canvas->rows.size;
    for (size_t row = 0; row < LATENT_CHANNELS * height; row++)
        memcpy(out + row * width,
               canvas->latents + row / height * plane + (row % height + (size_t)top) * stride + (size_t)left,
               width * sizeof *out);
}

static void add_tile(struct canvas *canvas, int row, int column, const float *tile) {
    size_t height = (size_t)canvas->rows.length * LATENT_PIXELS, width = (size_t)canvas->columns.length * LATENT_PIXELS;
    size_t stride = (size_t)canvas->columns.size * LATENT_PIXELS;
    size_t plane = stride * (size_t)canvas->rows.size * LATENT_PIXELS;
    size_t top = (size_t)tile_begin(&canvas->rows, row) * LATENT_PIXELS,
           left = (size_t)tile_begin(&canvas->columns, column) * LATENT_PIXELS;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            float weight = tile_weight(&canvas->rows, row, (int)y) * tile_weight(&canvas->columns, column, (int)x);
            size_t at = (top + y) * stride + left + x;
            canvas->weights[at] += weight;
            for (size_t c = 0; c < 3; c++)
                canvas->planes[c * plane + at] += weight * tile[c * height * width + y * width + x];
        }
}

static bool decode_tiles(struct canvas *canvas, struct error *err) {
    int height = canvas->rows.length, width = canvas->columns.length;
    size_t count = (size_t)height * (size_t)width;
    _cleanup_free_ float *latents = xnew_array(float, LATENT_CHANNELS *count);
    _cleanup_free_ float *tile = xnew_array(float, 3 * LATENT_PIXELS * LATENT_PIXELS * count);
    for (int i = 0; i < canvas->rows.count * canvas->columns.count; i++) {
        int row = i / canvas->columns.count, column = i % canvas->columns.count;
        copy_latents(canvas, tile_begin(&canvas->rows, row), tile_begin(&canvas->columns, column), latents);
        if (!canvas->networks->decode(canvas->networks->context, latents, height, width, tile, err))
            return false;
        add_tile(canvas, row, column, tile);
    }
    return true;
}

static bool decode_in_tiles(struct canvas *canvas, struct error *err) {
    size_t pixels = (size_t)canvas->rows.size * (size_t)canvas->columns.size * LATENT_PIXELS * LATENT_PIXELS;
    _cleanup_free_ float *weights = canvas->weights = xnew_array(float, pixels);
    if (!decode_tiles(canvas, err))
        return false;
    for (size_t i = 0; i < 3 * pixels; i++)
        canvas->planes[i] /= weights[i % pixels];
    return true;
}

bool sample_decode(const struct sample_networks *networks, const float *latents, int width, int height, int tile,
                   uint8_t *rgb, struct error *err) {
    if (tile != 0 && (tile < TILE_LEAST || tile % LATENT_PIXELS != 0))
        return error_set(err, ERR_PICTURE_INVALID, "tiles of %d: a multiple of %d, at least %d", tile, LATENT_PIXELS,
                         TILE_LEAST);
    int rows = height / LATENT_PIXELS, columns = width / LATENT_PIXELS;
    size_t size = (size_t)rows * (size_t)columns;
    _cleanup_free_ float *scaled = xnew_array(float, LATENT_CHANNELS *size);
    _cleanup_free_ float *planes = xnew_array(float, 3 * (size_t)width * (size_t)height);
    for (size_t i = 0; i < LATENT_CHANNELS * size; i++)
        scaled[i] = latents[i] * networks->scale[i / size] / networks->scaling + networks->mean[i / size];
    struct canvas canvas = {.networks = networks,
                            .latents = scaled,
                            .rows = tiling_of(rows, tile / LATENT_PIXELS),
                            .columns = tiling_of(columns, tile / LATENT_PIXELS),
                            .planes = planes};
    bool is_whole = canvas.rows.count * canvas.columns.count == 1;
    return (is_whole ? networks->decode(networks->context, scaled, rows, columns, planes, err)
                     : decode_in_tiles(&canvas, err)) &&
           rgb_from_planes(planes, width, height, rgb, err);
}
