/* Answers of S3 and STS: what is found lies inside the text, and entities become UTF-8. */
#include "fuzz.h"
#include "store/xml.h"

static bool is_ascii(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    _cleanup_free_ char *text = fuzz_text(bytes, length);
    size_t size = strlen(text), inner;
    const char *tags[] = {"Key", "Contents", "NextContinuationToken"};
    for (size_t i = 0; i < ARRAY_LENGTH(tags); i++) {
        const char *cursor = text, *inside;
        for (const char *before = cursor; xml_next(&cursor, tags[i], &inside, &inner); before = cursor) {
            ensure(cursor > before && cursor <= text + size);
            ensure(inside > before && inside + inner <= text + size);
            _cleanup_free_ char *nested = xml_text(inside, inner, "Key");
        }
        _cleanup_free_ char *value = xml_text((const char *)bytes, length, tags[i]);
        if (value)
            ensure(strlen(value) <= size && (!is_ascii(text) || fuzz_is_utf8(value)));
    }
    return 0;
}
