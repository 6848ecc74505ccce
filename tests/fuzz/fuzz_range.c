/* A Range header against a file whose size is the first eight bytes. */
#include "fuzz.h"
#include "server/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    int64_t size, first, count;
    if (length < sizeof size)
        return 0;
    memcpy(&size, bytes, sizeof size);
    size &= INT64_MAX;
    _cleanup_free_ char *header = fuzz_text(bytes + sizeof size, length - sizeof size);
    switch (range_parse(header, size, &first, &count)) {
    case RANGE_WHOLE:
        ensure(first == 0 && count == size);
        break;
    case RANGE_PART:
        ensure(strncmp(header, "bytes=", 6) == 0 && !strchr(header, ','));
        ensure(first >= 0 && count >= 1 && first < size && count <= size - first);
        break;
    case RANGE_OUTSIDE:
        ensure(strncmp(header, "bytes=", 6) == 0);
    }
    return 0;
}
