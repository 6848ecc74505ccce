/* Logs: one JSON object a line on stderr, or readable text when stderr is a terminal. Any thread may log at any time,
 * also while it holds a lock: lines never mix, and nothing here waits for another lock than stderr's. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* What a logger is about; NULL and 0 members are left out of its lines. Strings are borrowed. */
struct log {
    const char *worker, *campaign, *job_id, *language, *stage;
    int attempt;
};

/* Writes one line; `log` may be NULL. LOG_DEBUG is dropped: such lines are for whoever lowers the threshold in log.c.
 */
void log_write(const struct log *log, enum log_level level, const char *format, ...) printf_like(3, 4);
/* As log_write, with further members of the line, such as duration_ms; steals the reference to `extra`, an object. */
void log_write_with(const struct log *log, enum log_level level, json_t *extra, const char *format, ...)
    printf_like(4, 5);
