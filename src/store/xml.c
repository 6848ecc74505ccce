#include "store/xml.h"

#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

bool xml_next(const char **cursor, const char *tag, const char **inside, size_t *length) {
    size_t name = strlen(tag);
    for (const char *at = *cursor; (at = strchr(at, '<'));) {
        at++;
        if (strncmp(at, tag, name) != 0 || !strchr(" \t\r\n/>", at[name]) || !at[name])
            continue;
        const char *close = strchr(at, '>');
        if (!close)
            return false;
        *inside = *cursor = close + 1;
        *length = 0;
        if (close[-1] == '/')
            return true;
        _cleanup_free_ char *end = xasprintf("</%s>", tag);
        const char *found = strstr(close, end);
        if (!found)
            return false;
        *length = (size_t)(found - *inside);
        *cursor = found + strlen(end);
        return true;
    }
    return false;
}

static void append_code_point(struct buffer *out, unsigned long code) {
    char bytes[4];
    size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; i--, code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    bytes[0] = (char)(lead[count] | code);
    buffer_append(out, bytes, count);
}

/* Decodes the entity at `text` ("&...;"); returns how long it is, 0 when it is none. */
static size_t decode_entity(struct buffer *out, const char *text, size_t length) {
    static const struct {
        const char *name;
        char character;
    } named[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < ARRAY_LENGTH(named); i++) {
        size_t size = strlen(named[i].name);
        if (length >= size && memcmp(text, named[i].name, size) == 0) {
            buffer_append(out, &named[i].character, 1);
            return size;
        }
    }
    if (length < 4 || text[1] != '#')
        return 0;
    char *end;
    unsigned long code = text[2] == 'x' ? strtoul(text + 3, &end, 16) : strtoul(text + 2, &end, 10);
    if (*end != ';' || end >= text + length || code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    append_code_point(out, code);
    return (size_t)(end - text) + 1;
}

char *xml_text(const char *xml, size_t length, const char *tag) {
    _cleanup_free_ char *copy = xstrndup(xml, length);
    const char *cursor = copy, *inside;
    size_t size;
    if (!xml_next(&cursor, tag, &inside, &size))
        return NULL;
    struct buffer out = {0};
    for (size_t i = 0, used; i < size; i += used) {
        used = inside[i] == '&' ? decode_entity(&out, inside + i, size - i) : 0;
        if (used == 0) {
            buffer_append(&out, inside + i, 1);
            used = 1;
        }
    }
    return buffer_steal(&out);
}
