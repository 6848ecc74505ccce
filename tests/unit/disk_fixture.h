/* Stands before libc's calls on files in the program that includes it: notes their order, and refuses space when told
 * to. */
#pragma once

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    char done[256]; /* f: a file synced, d: a folder synced, r: renamed */
    size_t count;
    int64_t volume; /* bytes that statvfs says are free */
    int refusals;   /* so many calls of fallocate fail for want of space; 0: none */
} disk;

static inline void disk_reset(void) { memset(&disk, 0, sizeof disk); }

static void disk_note(char what) {
    if (disk.count + 1 < sizeof disk.done)
        disk.done[disk.count++] = what;
}

int fsync(int descriptor) {
    struct stat info;
    disk_note(fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode) ? 'd' : 'f');
    return (int)syscall(SYS_fsync, descriptor);
}

int rename(const char *from, const char *to) {
    disk_note('r');
    return (int)syscall(SYS_rename, from, to);
}

int statvfs(const char *path, struct statvfs *volume) {
    *volume = (struct statvfs){.f_frsize = 1, .f_bavail = (fsblkcnt_t)disk.volume};
    return 0;
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    if (disk.refusals > 0) {
        disk.refusals--;
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_fallocate, descriptor, mode, offset, length);
}
