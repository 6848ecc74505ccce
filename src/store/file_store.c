/* Objects as files below a folder. Every path is walked one component at a time from the root's descriptor,
 * following no symbolic link, so that no key and nobody's link leads outside. */
#include "store/file_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "store/key.h"

struct file_store {
    struct store base;
    char *path;
    int root, temporary;
};

struct file_writer {
    struct store_writer base;
    int descriptor;
    char name[33]; /* in .tmp */
};

static struct file_store *file_store_of(struct store *store) { return (struct file_store *)store; }

static void file_close(struct store *store) {
    struct file_store *file = file_store_of(store);
    if (file->root >= 0)
        close(file->root);
    if (file->temporary >= 0)
        close(file->temporary);
    free(file->path);
    free(file);
}

/* Opens a component below `parent`, making it first if asked to. A new folder's name is synced into its
 * parent. */
static int step_into(int parent, const char *name, bool make) {
    int child = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child >= 0 || errno != ENOENT || !make)
        return child;
    if (mkdirat(parent, name, 0755) == 0)
        fsync(parent);
    else if (errno != EEXIST)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The folder that holds `key`; *name is the key's last component. -1 and errno on failure. */
static int open_parent(const struct file_store *file, const char *key, bool make, const char **name) {
    int folder = openat(file->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (const char *part = key, *slash; folder >= 0; part = slash + 1) {
        slash = strchr(part, '/');
        if (!slash) {
            *name = part;
            break;
        }
        _cleanup_free_ char *component = xstrndup(part, (size_t)(slash - part));
        _cleanup_close_ int above = folder;
        folder = step_into(above, component, make);
    }
    return folder;
}

static bool errno_is_missing(int errno_value) {
    return errno_value == ENOENT || errno_value == ENOTDIR || errno_value == EISDIR || errno_value == ENAMETOOLONG;
}

static bool file_store_read_failed(const struct file_store *file, const char *key, int errno_value, struct error *err) {
    if (errno_is_missing(errno_value))
        return error_set(err, ERR_STORE_NOT_FOUND, "no object %s in the store %s", key, file->path);
    enum error_code code =
        errno_value == EACCES || errno_value == EPERM || errno_value == ELOOP ? ERR_STORE_DENIED : ERR_IO;
    return error_set_errno(err, code, errno_value, "cannot read %s/%s", file->path, key);
}

/* Opens an object, a regular file only; -1 and *err on failure. */
static int open_object(const struct file_store *file, const char *key, struct stat *info, struct error *err) {
    const char *name;
    _cleanup_close_ int parent = open_parent(file, key, false, &name);
    int object = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (object >= 0 && fstat(object, info) == 0 && S_ISREG(info->st_mode))
        return object;
    file_store_read_failed(file, key, object >= 0 ? ENOENT : errno, err);
    if (object >= 0)
        close(object);
    return -1;
}

static void fill_stat(const struct stat *info, struct store_stat *stat) {
    *stat = (struct store_stat){.size = info->st_size,
                                .modified_ms = info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000};
}

static bool file_get(struct store *store, const char *key, int64_t offset, int64_t length, const char *etag,
                     const struct sink *sink, struct error *err) {
    enum { BLOCK = 256 * 1024 };
    struct stat info;
    _cleanup_close_ int object = open_object(file_store_of(store), key, &info, err);
    if (object < 0)
        return false;
    store->requests++;
    _cleanup_free_ char *block = xcalloc(1, BLOCK);
    int64_t left = length < 0 ? INT64_MAX : length;
    while (left > 0) {
        ssize_t got = pread(object, block, (size_t)MIN(left, (int64_t)BLOCK), offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_store_read_failed(file_store_of(store), key, errno, err);
        if (got == 0)
            break;
        if (!sink->write(sink->context, block, (size_t)got, err))
            return false;
        if (!cancel_check(store->cancel, err))
            return false;
        store->bytes_read += got;
        offset += got;
        left -= got;
    }
    return true;
}

static bool file_head(struct store *store, const char *key, struct store_stat *stat, struct error *err) {
    struct stat info;
    _cleanup_close_ int object = open_object(file_store_of(store), key, &info, err);
    if (object < 0)
        return false;
    store->requests++;
    fill_stat(&info, stat);
    return true;
}

/* Removes the folders above a deleted object as far as they are empty: they are no objects, and would stand in the way
 * of a later object of their name. */
static void file_store_prune(const struct file_store *file, const char *key) {
    _cleanup_free_ char *path = xstrdup(key);
    for (char *slash; (slash = strrchr(path, '/'));) {
        *slash = '\0';
        const char *name;
        _cleanup_close_ int parent = open_parent(file, path, false, &name);
        if (parent < 0 || unlinkat(parent, name, AT_REMOVEDIR) != 0)
            return;
    }
}

static bool file_delete(struct store *store, const char *key, struct error *err) {
    struct file_store *file = file_store_of(store);
    const char *name;
    _cleanup_close_ int parent = open_parent(file, key, false, &name);
    store->requests++;
    if (parent >= 0 && unlinkat(parent, name, 0) == 0) {
        fsync(parent);
        file_store_prune(file, key);
        return true;
    }
    if (errno_is_missing(errno))
        return true;
    enum error_code code = errno == EACCES || errno == EPERM || errno == EROFS ? ERR_STORE_DENIED : ERR_IO;
    return error_set_errno(err, code, errno, "cannot delete %s/%s", file->path, key);
}

struct entry {
    char *key; /* from the root; a folder's ends with a slash, which gives S3's order */
    struct store_stat stat;
};

struct listing {
    struct file_store *file;
    const char *prefix;
    bool (*visit)(const char *key, const struct store_stat *stat, void *context);
    void *context;
    bool stopped;
};

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

/* Fills `entry` when `name` in `folder` is, or may hold, a key that is asked for. */
static bool entry_read(const struct listing *list, int folder, const char *path, const char *name,
                       struct entry *entry) {
    struct stat info;
    _cleanup_free_ char *key = xasprintf("%s%s/", path, name);
    size_t length = strlen(key) - 1;
    key[length] = '\0';
    if (!key_is_valid(key) || (!starts_with(key, list->prefix) && !starts_with(list->prefix, key)) ||
        fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (S_ISDIR(info.st_mode))
        key[length] = '/';
    else if (!S_ISREG(info.st_mode) || !starts_with(key, list->prefix))
        return false;
    fill_stat(&info, &entry->stat);
    entry->key = steal(key);
    return true;
}

struct entries {
    struct entry *items;
    size_t count, capacity;
};

static void entries_free(struct entries *entries) {
    for (size_t i = 0; i < entries->count; i++)
        free(entries->items[i].key);
    free(entries->items);
}

static void read_entries(const struct listing *list, DIR *folder, const char *path, struct entries *out) {
    for (struct dirent *item; (item = readdir(folder));) {
        struct entry entry;
        if (!entry_read(list, dirfd(folder), path, item->d_name, &entry))
            continue;
        if (out->count == out->capacity) {
            out->capacity = MAX(out->capacity * 2, 64);
            out->items = xreallocarray(out->items, out->capacity, sizeof *out->items);
        }
        out->items[out->count++] = entry;
    }
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, compare_keys);
}

/* Lists below the folder `path` ("" or "a/b/"), which is closed again before its subfolders are opened. */
static bool list_folder(struct listing *list, const char *path, struct error *err) {
    if (!cancel_check(list->file->base.cancel, err))
        return false;
    _cleanup_(entries_free) struct entries entries = {0};
    const char *name;
    int descriptor = open_parent(list->file, path, false, &name);
    {
        _cleanup_closedir_ DIR *folder = descriptor < 0 ? NULL : fdopendir(descriptor);
        if (!folder && errno_is_missing(errno))
            return true; /* deleted since its parent was read */
        if (!folder)
            return file_store_read_failed(list->file, path, errno, err);
        read_entries(list, folder, path, &entries);
    }
    for (size_t i = 0; i < entries.count && !list->stopped; i++) {
        const struct entry *entry = &entries.items[i];
        if (entry->key[strlen(entry->key) - 1] != '/')
            list->stopped = !list->visit(entry->key, &entry->stat, list->context);
        else if (!list_folder(list, entry->key, err))
            return false;
    }
    return true;
}

static bool file_list(struct store *store, const char *prefix,
                      bool (*visit)(const char *key, const struct store_stat *stat, void *context), void *context,
                      struct error *err) {
    store->requests++;
    struct listing list = {file_store_of(store), prefix, visit, context, false};
    return list_folder(&list, "", err);
}

static char *file_local_path(struct store *store, const char *key) {
    return xasprintf("%s/%s", file_store_of(store)->path, key);
}

static struct store_writer *file_writer_open(struct store *store, const char *key, int64_t size, struct error *err) {
    struct file_writer *writer = xnew(struct file_writer);
    random_text(writer->name, sizeof writer->name - 1);
    writer->descriptor =
        openat(file_store_of(store)->temporary, writer->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (writer->descriptor >= 0)
        return &writer->base;
    error_set_errno(err, ERR_IO, errno, "cannot write into %s/.tmp", file_store_of(store)->path);
    free(writer);
    return NULL;
}

static bool file_write(struct store_writer *base, const void *data, size_t length, struct error *err) {
    struct file_writer *writer = (struct file_writer *)base;
    if (!sink_write_descriptor(&writer->descriptor, data, length, err))
        return error_wrap(err, "%s/%s", file_store_of(base->store)->path, base->key);
    base->store->bytes_written += (int64_t)length;
    return true;
}

/* Gives the temporary file its key unless that is taken. Where there are no hard links (VFAT, some FUSE), a rename that
 * replaces nothing does the same. False with errno. */
static bool writer_link(const struct file_store *file, const struct file_writer *writer, int parent, const char *name) {
    if (linkat(file->temporary, writer->name, parent, name, 0) == 0)
        return true;
    int refusal = errno;
    if (refusal != EPERM && refusal != EOPNOTSUPP && refusal != ENOSYS && refusal != EMLINK)
        return false;
    if (renameat2(file->temporary, writer->name, parent, name, RENAME_NOREPLACE) == 0)
        return true;
    if (errno == EINVAL || errno == ENOSYS) /* neither: no fault of the credentials, as EPERM would say */
        errno = EOPNOTSUPP;
    return false;
}

/* Renames the temporary file to its key; 0 or an errno. */
static int writer_publish(const struct file_store *file, const struct file_writer *writer, enum store_flags flags) {
    const char *name;
    _cleanup_close_ int parent = open_parent(file, writer->base.key, true, &name);
    if (parent < 0)
        return errno;
    bool named = flags & STORE_IF_ABSENT ? writer_link(file, writer, parent, name)
                                         : renameat(file->temporary, writer->name, parent, name) == 0;
    return named && fsync(parent) == 0 ? 0 : errno;
}

static bool file_commit(struct store_writer *base, enum store_flags flags, struct error *err) {
    struct file_writer *writer = (struct file_writer *)base;
    struct file_store *file = file_store_of(base->store);
    base->store->requests++;
    int failure = fsync(writer->descriptor) == 0 ? writer_publish(file, writer, flags) : errno;
    for (int again = 0; again < 10 && failure == ENOENT; again++)
        failure = writer_publish(file, writer, flags); /* a delete pruned the folder just now */
    if (failure == 0)
        return true;
    if (failure == EEXIST && flags & STORE_IF_ABSENT)
        return error_set(err, ERR_STORE_EXISTS, "%s/%s exists already", file->path, base->key);
    enum error_code code = failure == EACCES || failure == EPERM || failure == EROFS ? ERR_STORE_DENIED
                           : failure != ENOENT && errno_is_missing(failure)          ? ERR_STORE_INVALID_KEY
                                                                                     : ERR_IO;
    return error_set_errno(err, code, failure, "cannot write %s/%s", file->path, base->key);
}

static void file_writer_free(struct store_writer *base) {
    struct file_writer *writer = (struct file_writer *)base;
    close(writer->descriptor);
    unlinkat(file_store_of(base->store)->temporary, writer->name, 0); /* gone already if it was renamed */
    free(writer);
}

/* Removes what a writer that was killed has left in .tmp, once it is a day old. */
static void file_store_sweep(const struct file_store *file) {
    enum { DAY_SECONDS = 24 * 3600 };
    int descriptor = openat(file->temporary, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *folder = descriptor < 0 ? NULL : fdopendir(descriptor);
    int64_t oldest = clock_wall_ms(clock_system()) / 1000 - DAY_SECONDS;
    struct stat info;
    for (struct dirent *item; folder && (item = readdir(folder));)
        if (fstatat(descriptor, item->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
            info.st_mtim.tv_sec < oldest)
            unlinkat(descriptor, item->d_name, 0);
}

static const struct store_operations file_operations = {
    .close = file_close,
    .get = file_get,
    .head = file_head,
    .delete = file_delete,
    .list = file_list,
    .local_path = file_local_path,
    .writer_open = file_writer_open,
    .write = file_write,
    .commit = file_commit,
    .writer_free = file_writer_free,
};

struct store *file_store_open(const char *root, struct error *err) {
    if (!directory_make(root, err))
        return NULL;
    struct file_store *file = xnew(struct file_store);
    file->base.operations = &file_operations;
    file->path = realpath(root, NULL);
    file->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file->temporary = file->root < 0 ? -1 : step_into(file->root, ".tmp", true);
    if (file->path && file->temporary >= 0) {
        file_store_sweep(file);
        return &file->base;
    }
    error_set_errno(err, ERR_IO, errno, "cannot open the store %s", root);
    file_close(&file->base);
    return NULL;
}
