#include "base/process.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

void process_begin(void) { signal(SIGPIPE, SIG_IGN); }

void process_share_memory(void) { mallopt(M_ARENA_MAX, 2); }

void process_keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

int64_t process_memory_mb(void) {
    _cleanup_buffer_ struct buffer text = {0}, limit = {0};
    struct error err;
    if (!file_read("/proc/meminfo", 1 << 16, &text, &err))
        return 0;
    const char *line = strstr(text.data, "MemAvailable:");
    int64_t available = line ? strtoll(line + strlen("MemAvailable:"), NULL, 10) / 1024 : 0;
    if (file_read("/sys/fs/cgroup/memory.max", 1 << 10, &limit, &err) && limit.data[0] != 'm') /* "max": none */
        available = MIN(available, strtoll(limit.data, NULL, 10) >> 20);
    return available;
}
