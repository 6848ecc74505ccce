#include "server/range.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

/* Reads digits; a number beyond 18 digits stands for "very far". Returns what follows, NULL without a digit.
 */
static const char *range_number(const char *text, int64_t *out) {
    const int64_t far = 1000000000000000000;
    *out = 0;
    if (!isdigit((unsigned char)*text))
        return NULL;
    for (; isdigit((unsigned char)*text); text++)
        *out = *out >= far / 10 ? far : *out * 10 + (*text - '0');
    return text;
}

enum range_kind range_parse(const char *header, int64_t size, int64_t *first, int64_t *length) {
    static const char unit[] = "bytes=";
    int64_t from = 0, to = INT64_MAX - 1, suffix;
    *first = 0;
    *length = size;
    if (!header || strncmp(header, unit, sizeof unit - 1) != 0)
        return RANGE_WHOLE;
    const char *text = header + sizeof unit - 1;
    if (*text == '-') {
        text = range_number(text + 1, &suffix);
        if (!text || *text)
            return RANGE_WHOLE;
        if (suffix == 0 || size == 0)
            return RANGE_OUTSIDE;
        from = MAX(size - suffix, (int64_t)0);
    } else {
        text = range_number(text, &from);
        if (!text || *text++ != '-' || (*text && (!(text = range_number(text, &to)) || *text)) || to < from)
            return RANGE_WHOLE;
        if (from >= size)
            return RANGE_OUTSIDE;
    }
    *first = from;
    *length = MIN(to + 1, size) - from;
    return RANGE_PART;
}
