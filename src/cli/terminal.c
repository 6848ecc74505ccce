#include "cli/terminal.h"

#include <sys/ioctl.h>

#include "base/clock.h"

enum { TRANSFER_SHOWN_FROM = 8 << 20, REDRAW_MS = 200 };

void terminal_bar(struct buffer *out, double part, int width) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = (int)(CLAMP(part, 0, 1) * width * 8 + 0.5), column = 0;
    for (; column < filled / 8; column++)
        buffer_append_text(out, "█");
    if (filled % 8) {
        buffer_append_text(out, eighths[filled % 8]);
        column++;
    }
    for (; column < width; column++)
        buffer_append_text(out, "·");
}

void terminal_duration(struct buffer *out, double seconds) {
    long whole = (long)(seconds + 0.5);
    if (whole >= 3600)
        buffer_appendf(out, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        buffer_appendf(out, "%ld:%02ld", whole / 60, whole % 60);
}

void terminal_bytes(struct buffer *out, int64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < ARRAY_LENGTH(units); unit++)
        value /= 1000;
    buffer_appendf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void terminal_held(struct buffer *out, int64_t until_ms) {
    const int64_t never = INT64_C(1) << 50; /* a hold without an end is 2^52 (docs/api.md); this is the year 37648 */
    char text[32];
    clock_format_iso(MIN(until_ms, never), text);
    buffer_appendf(out, until_ms > never ? "held until it is resumed" : "held until %.16sZ", text);
}

int terminal_width(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void terminal_moved(int64_t moved, int64_t total, void *context) {
    struct transfer_line *line = context;
    int64_t now = clock_monotonic_ns(clock_system()) / 1000000;
    if (!line->started_ms)
        line->started_ms = now;
    if (total < TRANSFER_SHOWN_FROM || now - line->drawn_ms < REDRAW_MS || !isatty(STDERR_FILENO))
        return;
    line->drawn_ms = now;
    line->shown = true;
    _cleanup_buffer_ struct buffer text = {0};
    buffer_appendf(&text, "\r\033[K%s ", line->label);
    terminal_bar(&text, (double)moved / (double)total, 24);
    buffer_append_text(&text, " ");
    terminal_bytes(&text, moved);
    buffer_append_text(&text, " of ");
    terminal_bytes(&text, total);
    if (moved > 0 && now > line->started_ms) {
        buffer_append_text(&text, ", ");
        terminal_duration(&text, (double)(total - moved) / (double)moved * (double)(now - line->started_ms) / 1000);
        buffer_append_text(&text, " left");
    }
    fputs(text.data, stderr);
}

void terminal_waits(int seconds, void *context) {
    struct transfer_line *line = context;
    if (!isatty(STDERR_FILENO))
        return;
    line->shown = true;
    fprintf(stderr, "\r\033[K%s: the farm is busy or away; again in %d s", line->label, seconds);
}

void terminal_moved_end(struct transfer_line *line) {
    if (line->shown)
        fputs("\r\033[K", stderr);
}
