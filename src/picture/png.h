/* PNG files (libpng). Private to this room. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct png_text {
    const char *key;  /* 1 to 79 letters of Latin-1, such as "parameters" */
    const char *text; /* UTF-8 */
};

/* Writes an RGB picture, [height][width][3], and its texts, as tEXt where they are ASCII and as iTXt where they are
 * not, and syncs it. The same picture and texts give the same bytes on one version of libpng and zlib. io, disk.full;
 * then there may be a part of the file. */
bool png_write(const char *path, const uint8_t *rgb, size_t width, size_t height, const struct png_text *texts,
               size_t text_count, struct error *err) must_check;
