#include <libavutil/imgutils.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "media/video.h"

static const struct {
    const char *name;
    size_t offset;
} integers[] = {
#define INTEGER(member) {#member, offsetof(struct video_info, member)}
    INTEGER(width),         INTEGER(height),          INTEGER(rotation),        INTEGER(time_base_num),
    INTEGER(time_base_den), INTEGER(rate_num),        INTEGER(rate_den),        INTEGER(pixel_format),
    INTEGER(bit_depth),     INTEGER(color_range),     INTEGER(color_primaries), INTEGER(color_transfer),
    INTEGER(color_space),   INTEGER(chroma_location), INTEGER(aspect_num),      INTEGER(aspect_den),
#undef INTEGER
};

size_t video_frame_bytes(const struct video_info *info) {
    int bytes = av_image_get_buffer_size(info->pixel_format, info->width, info->height, 32); /* x86's alignment */
    return bytes > 0 ? (size_t)bytes : SIZE_MAX;
}

json_t *video_info_to_json(const struct video_info *info) {
    json_t *json = json_object();
    for (size_t i = 0; i < ARRAY_LENGTH(integers); i++)
        json_object_set_new(json, integers[i].name,
                            json_integer(*(const int *)((const char *)info + integers[i].offset)));
    json_object_set_new(json, "interlaced", json_boolean(info->interlaced));
    json_object_set_new(json, "has_audio", json_boolean(info->has_audio));
    json_object_set_new(json, "codec", json_string(info->codec));
    return json;
}

bool video_info_from_json(const json_t *json, struct video_info *out, struct error *err) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < ARRAY_LENGTH(integers); i++) {
        const json_t *value = json_object_get(json, integers[i].name);
        json_int_t number = json_integer_value(value);
        if (!json_is_integer(value) || number < -1 || number > INT32_MAX)
            return error_set(err, ERR_JSON_INVALID, "the description of the video lacks a usable \"%s\"",
                             integers[i].name);
        *(int *)((char *)out + integers[i].offset) = (int)number;
    }
    if (out->width < 1 || out->height < 1 || out->time_base_num < 1 || out->time_base_den < 1)
        return error_set(err, ERR_JSON_INVALID, "the description of the video has no size or no time base");
    out->interlaced = json_get_bool(json, "interlaced", false);
    out->has_audio = json_get_bool(json, "has_audio", false);
    snprintf(out->codec, sizeof out->codec, "%s", json_get_string(json, "codec", ""));
    return true;
}
