#include "picture/png.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

/* libpng leaves by longjmp unless its error handler does not return: so nothing here may fail but memory, which aborts,
 * and the writing, which goes to memory first. */
static void png_abort(png_structp png, png_const_charp message) {
    fprintf(stderr, "libpng: %s\n", message);
    abort();
}

static void png_ignore(png_structp png, png_const_charp message) {}

static void png_append(png_structp png, png_bytep bytes, size_t length) {
    buffer_append(png_get_io_ptr(png), bytes, length);
}

static void png_flush_nothing(png_structp png) {}

static bool is_ascii(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text >= 128)
            return false;
    return true;
}

static void add_texts(png_structp png, png_infop info, const struct png_text *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        png_text text = {.compression = is_ascii(texts[i].text) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE,
                         .key = (png_charp)(uintptr_t)texts[i].key,
                         .text = (png_charp)(uintptr_t)texts[i].text,
                         .text_length = strlen(texts[i].text)};
        png_set_text(png, info, &text, 1);
    }
}

static void png_encode(struct buffer *out, const uint8_t *rgb, size_t width, size_t height,
                       const struct png_text *texts, size_t text_count) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_abort, png_ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info)
        abort();
    png_set_write_fn(png, out, png_append, png_flush_nothing);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    add_texts(png, info, texts, text_count);
    png_write_info(png, info);
    for (size_t y = 0; y < height; y++)
        png_write_row(png, rgb + y * width * 3);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

bool png_write(const char *path, const uint8_t *rgb, size_t width, size_t height, const struct png_text *texts,
               size_t text_count, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    png_encode(&bytes, rgb, width, height, texts, text_count);
    return file_write_atomic(path, bytes.data, bytes.length, 0644, err);
}
