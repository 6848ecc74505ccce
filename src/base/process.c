#include "base/process.h"

#include <malloc.h>
#include <signal.h>

void process_begin(void) { signal(SIGPIPE, SIG_IGN); }

void process_share_memory(void) { mallopt(M_ARENA_MAX, 2); }

void process_keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
}
