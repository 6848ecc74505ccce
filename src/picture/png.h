/* PNG files (libpng). Private to this room. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct png_text {
    const char *key;  /* 1 to 79 letters of Latin-1, such as "parameters" */
    const char *text; /* UTF-8 */
};

/* Gives row `y` of a picture, three bytes a pixel; called for the rows in turn. Valid until the next call. */
typedef const uint8_t *png_row(void *context, size_t y);

/* Writes an RGB picture and its texts, as tEXt where they are ASCII and as iTXt where they are not, and syncs it. The
 * same picture and texts give the same bytes on one version of libpng and zlib. io, disk.full; then there may be a part
 * of the file. */
bool png_write_by_rows(const char *path, size_t width, size_t height, png_row *row, void *context,
                       const struct png_text *texts, size_t text_count, struct error *err) must_check;
/* The same of a picture in memory, [height][width][3]. */
bool png_write(const char *path, const uint8_t *rgb, size_t width, size_t height, const struct png_text *texts,
               size_t text_count, struct error *err) must_check;
/* Reads a picture as RGB, [height][width][3], which the caller frees. NULL with picture.invalid when it is no PNG or
 * has more than `most` pixels. */
uint8_t *png_read(const char *path, size_t most, size_t *width, size_t *height, struct error *err) must_check;
