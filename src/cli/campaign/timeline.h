/* A time axis across the terminal, and lanes below it; mela trace draws with it. Times are Unix milliseconds. */
#pragma once

#include "base/buffer.h"
#include "base/json.h"

enum { TIMELINE_NOTE = 9 }; /* columns for the note at the end of a lane, such as a duration */

struct timeline {
    int64_t start_ms, end_ms;
    int label, width; /* columns of the labels in front, and of the time axis */
};

/* Sets the width of the axis to what the terminal leaves; `label` must be set. */
void timeline_fit(struct timeline *timeline);
/* The column of a time, from 0 to width. */
int timeline_column(const struct timeline *timeline, int64_t ms);
/* Appends a character `count` times. */
void timeline_repeat(struct buffer *out, const char *character, int count);
/* Appends a span of time; a short one to the hundredth of a second. */
void timeline_span(struct buffer *out, int64_t ms);
/* Prints a line with the ends of the axis. */
void timeline_axis(const struct timeline *timeline, const char *from, const char *to);
/* Prints how many workers there were over time, then a lane for each of them: when it was there and, when `jobs` (of a
 * trace) are given, when it had one of those. `workers`: {"id","came_ms","gone_ms","lost"} each. */
void timeline_workers(const struct timeline *timeline, const json_t *workers, const json_t *jobs);
