#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const enum log_level threshold = LOG_INFO;

static void add_text(json_t *line, const char *key, const char *value) {
    if (value)
        json_object_set_new(line, key, json_string(value));
}

static json_t *line_of(const struct log *log, enum log_level level, const char *time, const char *message) {
    json_t *line = json_object();
    add_text(line, "time", time);
    add_text(line, "level", level_names[level]);
    json_t *text = json_string(message);
    json_object_set_new(line, "message", text ? text : json_string("(a message that is not UTF-8)"));
    if (log) {
        add_text(line, "campaign", log->campaign);
        add_text(line, "job_id", log->job_id);
        add_text(line, "language", log->language);
        add_text(line, "stage", log->stage);
        if (log->attempt > 0)
            json_object_set_new(line, "attempt", json_integer(log->attempt));
        add_text(line, "worker", log->worker);
    }
    return line;
}

static void write_line(const struct log *log, enum log_level level, json_t *extra, const char *message) {
    char time[32];
    clock_format_iso(clock_wall_ms(clock_system()), time);
    _cleanup_buffer_ struct buffer out = {0};
    if (isatty(STDERR_FILENO)) {
        buffer_appendf(&out, "%.12s %-5s %s%s%s", time + 11, level_names[level], log && log->job_id ? log->job_id : "",
                       log && log->job_id ? ": " : "", message);
        if (extra) {
            _cleanup_free_ char *text = json_line(extra);
            buffer_appendf(&out, " %s", text);
        }
    } else {
        _cleanup_json_ json_t *line = line_of(log, level, time, message);
        if (extra)
            json_object_update(line, extra);
        _cleanup_free_ char *text = json_line(line);
        buffer_append_text(&out, text);
    }
    buffer_append_text(&out, "\n");
    fwrite(out.data, 1, out.length, stderr); /* in one call, so that stdio's lock keeps the line whole */
}

__attribute__((format(printf, 4, 0))) static void
write_formatted(const struct log *log, enum log_level level, json_t *extra, const char *format, va_list arguments) {
    _cleanup_free_ char *message = NULL;
    if (level >= threshold && vasprintf(&message, format, arguments) >= 0)
        write_line(log, level, extra, message);
}

void log_write(const struct log *log, enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_formatted(log, level, NULL, format, arguments);
    va_end(arguments);
}

void log_write_with(const struct log *log, enum log_level level, json_t *extra, const char *format, ...) {
    _cleanup_json_ json_t *owned = extra;
    va_list arguments;
    va_start(arguments, format);
    write_formatted(log, level, owned, format, arguments);
    va_end(arguments);
}
