#include "base/exposition.h"

#include <stdarg.h>
#include <sys/resource.h>

void metric_head(struct buffer *out, const char *name, const char *type, const char *help) {
    buffer_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_escaped(struct buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            buffer_append(out, "\\", 1);
        buffer_append(out, *text == '\n' ? "\\n" : text, *text == '\n' ? 2 : 1);
    }
}

void metric_row_labelled(struct buffer *out, const char *name, double value, ...) {
    va_list labels;
    const char *open = "{";
    buffer_append_text(out, name);
    va_start(labels, value);
    for (const char *label; (label = va_arg(labels, const char *)); open = ",") {
        buffer_appendf(out, "%s%s=\"", open, label);
        append_escaped(out, va_arg(labels, const char *));
        buffer_append_text(out, "\"");
    }
    va_end(labels);
    buffer_appendf(out, "%s %.15g\n", *open == ',' ? "}" : "", value);
}

void metric_one(struct buffer *out, const char *name, const char *type, const char *help, double value) {
    metric_head(out, name, type, help);
    metric_row(out, name, value);
}

void metric_process(struct buffer *out) {
    struct rusage usage = {0};
    long pages = 0;
    _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    getrusage(RUSAGE_SELF, &usage);
    metric_one(out, "mela_process_resident_memory_bytes", "gauge", "Resident memory of this process.",
               (double)pages * (double)sysconf(_SC_PAGESIZE));
    metric_one(out, "mela_process_cpu_seconds_total", "counter", "User and system time of this process.",
               (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}
