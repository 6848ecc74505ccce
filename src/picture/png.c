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

bool png_write_by_rows(const char *path, size_t width, size_t height, png_row *row, void *context,
                       const struct png_text *texts, size_t text_count, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_abort, png_ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info)
        abort();
    png_set_write_fn(png, &bytes, png_append, png_flush_nothing);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    add_texts(png, info, texts, text_count);
    png_write_info(png, info);
    for (size_t y = 0; y < height; y++)
        png_write_row(png, row(context, y));
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return file_write_atomic(path, bytes.data, bytes.length, 0644, err);
}

struct whole_picture {
    const uint8_t *rgb;
    size_t width;
};

static const uint8_t *row_of_whole(void *context, size_t y) {
    const struct whole_picture *whole = context;
    return whole->rgb + y * whole->width * 3;
}

bool png_write(const char *path, const uint8_t *rgb, size_t width, size_t height, const struct png_text *texts,
               size_t text_count, struct error *err) {
    struct whole_picture whole = {rgb, width};
    return png_write_by_rows(path, width, height, row_of_whole, &whole, texts, text_count, err);
}

uint8_t *png_read(const char *path, size_t most, size_t *width, size_t *height, struct error *err) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    uint8_t *rgb = NULL;
    if (png_image_begin_read_from_file(&image, path) && (size_t)image.width * image.height <= most) {
        image.format = PNG_FORMAT_RGB;
        *width = image.width;
        *height = image.height;
        rgb = xnew_array(uint8_t, PNG_IMAGE_SIZE(image));
        if (png_image_finish_read(&image, NULL, rgb, 0, NULL))
            return rgb;
    }
    free(rgb);
    error_set(err, ERR_PICTURE_INVALID, "%s is no picture that can be read: %s", path,
              image.message[0] ? image.message : "it is too large");
    png_image_free(&image);
    return NULL;
}
