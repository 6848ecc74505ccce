#include "cli/campaign/again.h"

#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

enum { FILE_MAX = 256 << 20 };

/* ---- the text in a PNG ---- */

static uint32_t png_number(const char *bytes) {
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* The text of a chunk tEXt or iTXt, not compressed, whose key is "mela"; NULL for any other. Caller frees. */
static char *chunk_text(const char *type, const char *data, size_t length) {
    static const char key[] = "mela";                   /* with its NUL */
    static const char international[] = "mela\0\0\0\0"; /* not compressed, no language, no other name of the key */
    if (memcmp(type, "tEXt", 4) == 0 && length >= sizeof key && memcmp(data, key, sizeof key) == 0)
        return xstrndup(data + sizeof key, length - sizeof key);
    if (memcmp(type, "iTXt", 4) == 0 && length >= sizeof international &&
        memcmp(data, international, sizeof international) == 0)
        return xstrndup(data + sizeof international, length - sizeof international);
    return NULL;
}

/* What mela wrote into a PNG; NULL when it is no PNG, or none with such a text. Caller frees. */
static char *png_find_text(const char *bytes, size_t length) {
    enum { SIGNATURE = 8, AROUND = 12 /* length, type and checksum of a chunk */ };
    if (length < SIGNATURE || memcmp(bytes, "\x89PNG\r\n\x1a\n", SIGNATURE) != 0)
        return NULL;
    for (size_t at = SIGNATURE; length - at >= AROUND;) {
        size_t size = png_number(bytes + at);
        if (size > length - at - AROUND)
            return NULL;
        char *text = chunk_text(bytes + at + 4, bytes + at + 8, size);
        if (text)
            return text;
        at += size + AROUND;
    }
    return NULL;
}

/* ---- reading ---- */

static void add_picture(struct again *again, json_int_t place, json_int_t seed, const char *sha256) {
    json_array_append_new(again->pictures, json_pack("{s:I,s:I,s:s}", "place", place, "seed", seed, "sha256", sha256));
}

static void read_picture(struct again *again, const json_t *said, const struct buffer *file) {
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    const json_t *prompt = json_array_get(json_object_get(again->recipe, "prompts"), 0);
    int64_t place = json_get_integer(said, "picture", 0);
    sha256_of(file->data, file->length, hash);
    hex_encode(hash, sizeof hash, hex);
    add_picture(again, place, (uint32_t)(json_get_integer(prompt, "seed", 0) + place), hex);
}

static void read_pictures(struct again *again, const json_t *record) {
    size_t i;
    json_t *picture;
    json_array_foreach (json_object_get(record, "pictures"), i, picture)
        add_picture(again, (json_int_t)i, json_get_integer(picture, "seed", 0), json_get_string(picture, "sha256", ""));
}

bool again_read(const char *file, struct again *out, struct error *err) {
    struct error none;
    _cleanup_buffer_ struct buffer bytes = {0};
    *out = (struct again){.pictures = json_array()};
    if (!file_read(file, FILE_MAX, &bytes, err))
        return false;
    _cleanup_free_ char *text = png_find_text(bytes.data, bytes.length);
    _cleanup_json_ json_t *said = json_parse(text ? text : bytes.data, text ? strlen(text) : bytes.length, &none);
    out->recipe = json_incref(json_object_get(said, "recipe"));
    out->origin = json_incref(json_object_get(said, "origin"));
    if (!json_is_object(out->recipe))
        return error_set(err, ERR_USAGE,
                         "%s is neither a record.json nor a picture that says how it was made; pictures of campaigns "
                         "with \"metadata\": false have it in their records alone",
                         file);
    if (text)
        read_picture(out, said, &bytes);
    else
        read_pictures(out, said);
    return true;
}

void again_clear(struct again *again) {
    json_decref(again->recipe);
    json_decref(again->origin);
    json_decref(again->pictures);
}

/* ---- comparing ---- */

static json_t *compare_origins(const json_t *was, const json_t *is) {
    json_t *differences = json_object(), *value;
    const char *member;
    json_object_foreach ((json_t *)(uintptr_t)was, member, value)
        if (!json_equal(value, json_object_get(is, member)))
            json_object_set_new(differences, member,
                                json_pack("{s:O,s:O*}", "was", value, "is", json_object_get(is, member)));
    return differences;
}

json_t *again_compare(const struct again *again, const json_t *record) {
    const json_t *made = json_object_get(record, "pictures");
    json_t *pictures = json_array(), *picture;
    bool all = json_array_size(again->pictures) > 0;
    size_t i;
    json_array_foreach (again->pictures, i, picture) {
        const json_t *other = json_array_get(made, (size_t)json_get_integer(picture, "place", 0));
        bool same = strcmp(json_get_string(picture, "sha256", ""), json_get_string(other, "sha256", "none")) == 0;
        all = all && same;
        json_array_append_new(pictures, json_pack("{s:O,s:O,s:b}", "place", json_object_get(picture, "place"), "seed",
                                                  json_object_get(picture, "seed"), "same", same));
    }
    return json_pack("{s:b,s:o,s:o}", "same", all, "pictures", pictures, "origin",
                     compare_origins(again->origin, json_object_get(record, "origin")));
}
