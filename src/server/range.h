/* The Range header (RFC 9110, section 14), as far as a file server needs it. Pure. Private to this room. */
#pragma once

#include <stdint.h>

enum range_kind {
    RANGE_WHOLE, /* no range, or one that may be ignored: several ranges, another unit, bad syntax */
    RANGE_PART,
    RANGE_OUTSIDE, /* well-formed, but no byte of it exists */
};

/* Reads `header` (may be NULL) against a file of `size` bytes; *first and *length are set for RANGE_PART and
 * RANGE_WHOLE. */
enum range_kind range_parse(const char *header, int64_t size, int64_t *first, int64_t *length);
