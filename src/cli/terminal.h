/* Bars, durations and sizes for people. What appends to a buffer allocates in it; nothing fails. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* Appends `width` columns of a bar filled to `part` (0 to 1) in eighths of a column. */
void terminal_bar(struct buffer *out, double part, int width);
/* Appends "0:07", "12:40" or "3:05:00". */
void terminal_duration(struct buffer *out, double seconds);
/* Appends "512 B", "3.4 MB", "12.0 GB". */
void terminal_bytes(struct buffer *out, int64_t bytes);
/* Appends "held until 2026-11-08T01:30Z" for Unix milliseconds, or "held until it is resumed" for a hold without an
 * end. */
void terminal_held(struct buffer *out, int64_t until_ms);
/* Columns of the terminal on stdout; 80 when stdout is no terminal. */
int terminal_width(void);

/* A line on stderr that shows how far a transfer is, redrawn in place a few times a second. Nothing is shown when
 * stderr is no terminal, or when less than 8 MB are to be moved. */
struct transfer_line {
    const char *label; /* borrowed */
    int64_t drawn_ms, started_ms;
    bool shown;
};
/* A client_moved; its context is a struct transfer_line. */
void terminal_moved(int64_t moved, int64_t total, void *context);
/* A client_waits with the same context: the line says so, of any transfer. */
void terminal_waits(int seconds, void *context);
/* Removes the line. */
void terminal_moved_end(struct transfer_line *line);
