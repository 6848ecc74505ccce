#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

bool file_read(const char *path, size_t limit, struct buffer *out, struct error *err) {
    _cleanup_fclose_ FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    size_t total = 0;
    for (;;) {
        buffer_reserve(out, 65536);
        size_t got = fread(out->data + out->length, 1, 65536, file);
        out->length += got;
        out->data[out->length] = '\0';
        total += got;
        if (total > limit)
            return error_set(err, ERR_STORE_TOO_LARGE, "%s is larger than %zu bytes", path, limit);
        if (got == 0)
            break;
    }
    return ferror(file) ? error_set_errno(err, ERR_IO, errno, "cannot read %s", path) : true;
}

static bool write_all(int descriptor, const char *data, size_t length) {
    while (length > 0) {
        ssize_t wrote = write(descriptor, data, length);
        if (wrote < 0 && errno != EINTR)
            return false;
        if (wrote > 0) {
            data += wrote;
            length -= (size_t)wrote;
        }
    }
    return true;
}

/* Some file systems have no fsync for folders and say EINVAL: nothing more can be done there. */
static bool folder_sync(const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash ? xstrndup(path, MAX((size_t)(slash - path), (size_t)1)) : xstrdup(".");
    _cleanup_close_ int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0 && (fsync(descriptor) == 0 || errno == EINVAL))
        return true;
    return error_set_errno(err, ERR_IO, errno, "cannot sync the folder %s", folder);
}

bool file_rename(const char *from, const char *to, struct error *err) {
    if (rename(from, to) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", to);
    return folder_sync(to, err);
}

bool file_write_atomic(const char *path, const void *data, size_t length, int mode, struct error *err) {
    _cleanup_free_ char *temporary = xasprintf("%s.XXXXXX", path);
    _cleanup_close_ int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot create %s", temporary);
    bool is_synced =
        write_all(descriptor, data, length) && fchmod(descriptor, (mode_t)mode) == 0 && fsync(descriptor) == 0;
    if (is_synced && file_rename(temporary, path, err))
        return true;
    if (!is_synced)
        error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    unlink(temporary); /* gone already when only the folder's sync failed */
    return false;
}

bool path_is_plain(const char *path) {
    for (const char *part = path;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length <= 2 && strspn(part, ".") == length))
            return false;
        part += length;
        if (*part == '\0')
            return true;
    }
}

bool path_is_inside(const char *path, const char *folder) {
    _cleanup_free_ char *real = realpath(path, NULL), *base = realpath(folder, NULL);
    size_t length = base ? strlen(base) : 0;
    return real && base && strncmp(real, base, length) == 0 && real[length] == '/';
}

bool directory_make(const char *path, struct error *err) {
    _cleanup_free_ char *copy = xstrdup(path);
    for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(copy, 0755) != 0 && errno != EEXIST)
            return error_set_errno(err, ERR_IO, errno, "cannot make directory %s", copy);
        if (!slash)
            return true;
        *slash = '/';
    }
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position) {
    remove(path);
    return 0;
}

void tree_remove(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

char *directory_make_temporary(const char *parent, const char *prefix, struct error *err) {
    if (!directory_make(parent, err))
        return NULL;
    _cleanup_free_ char *path = xasprintf("%s/%s.XXXXXX", parent, prefix);
    if (!mkdtemp(path)) {
        error_set_errno(err, ERR_IO, errno, "cannot make a directory below %s", parent);
        return NULL;
    }
    return steal(path);
}
