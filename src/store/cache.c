/* A folder of files named after what they hold (store, key and ETag), in `objects`, beside lock files, in
 * `locks`.
 *
 * An entry in use is held by a shared flock on its file; whoever makes room removes only files it can lock
 * alone. A fetch holds one of 256 exclusive lock files, chosen by the name, so that one process downloads and
 * the others wait; room is made and reserved under one more, so that several fetches together cannot pass the
 * limit. flock dies with its process, so nothing is left locked by a crash. */
#include "store/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/backend.h"

struct cache {
    char *objects, *locks;
    int64_t limit;
};

struct cache_entry {
    char *path;
    int descriptor; /* holds the shared lock; -1 for an object of a file store */
};

struct cache *cache_open(const char *directory, int64_t limit, struct error *err) {
    _cleanup_cache_ struct cache *cache = xnew(struct cache);
    cache->objects = xasprintf("%s/objects", directory);
    cache->locks = xasprintf("%s/locks", directory);
    cache->limit = limit;
    return directory_make(cache->objects, err) && directory_make(cache->locks, err) ? steal(cache) : NULL;
}

void cache_close(struct cache *cache) {
    free(cache->objects);
    free(cache->locks);
    free(cache);
}

const char *cache_entry_path(const struct cache_entry *entry) { return entry->path; }

void cache_release(struct cache_entry *entry) {
    if (entry->descriptor >= 0)
        close(entry->descriptor);
    free(entry->path);
    free(entry);
}

static struct cache_entry *entry_new(char *path, int descriptor) {
    struct cache_entry *entry = xnew(struct cache_entry);
    *entry = (struct cache_entry){path, descriptor};
    return entry;
}

static bool lock_wait(int descriptor, int how) {
    int failed;
    do
        failed = flock(descriptor, how);
    while (failed && errno == EINTR);
    return !failed;
}

/* Opens the lock file of this name and locks it, waiting for whoever has it; -1 and *err on failure. Closing the
 * descriptor unlocks it. */
static int lock_open(const struct cache *cache, const char *name, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", cache->locks, name);
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor >= 0 && lock_wait(descriptor, LOCK_EX))
        return descriptor;
    error_set_errno(err, ERR_IO, errno, "cannot lock %s", path);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

/* Locks the file shared; false when it has no name any more: it may have been removed before it was locked. */
static bool entry_lock_shared(int descriptor) {
    struct stat info;
    return lock_wait(descriptor, LOCK_SH) && fstat(descriptor, &info) == 0 && info.st_nlink > 0;
}

/* The entry if it is there, marked as used now. */
static struct cache_entry *entry_open(const char *path) {
    _cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || !entry_lock_shared(descriptor))
        return NULL;
    futimens(descriptor, NULL);
    int held = descriptor;
    descriptor = -1;
    return entry_new(xstrdup(path), held);
}

struct item {
    char *path;
    int64_t size;
    struct timespec used;
};

struct items {
    struct item *list;
    size_t count, capacity;
};

static void items_free(struct items *items) {
    for (size_t i = 0; i < items->count; i++)
        free(items->list[i].path);
    free(items->list);
}

static int compare_use(const void *a, const void *b) {
    const struct timespec *x = &((const struct item *)a)->used, *y = &((const struct item *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* All files with their sizes, oldest use first; returns their sum, or -1 with *err. */
static int64_t cache_scan(const struct cache *cache, struct items *items, struct error *err) {
    _cleanup_closedir_ DIR *folder = opendir(cache->objects);
    if (!folder) {
        error_set_errno(err, ERR_IO, errno, "cannot read the cache %s", cache->objects);
        return -1;
    }
    int64_t total = 0;
    struct stat info;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        if (items->count == items->capacity) {
            items->capacity = MAX(items->capacity * 2, 64);
            items->list = xreallocarray(items->list, items->capacity, sizeof *items->list);
        }
        items->list[items->count++] =
            (struct item){xasprintf("%s/%s", cache->objects, entry->d_name), info.st_size, info.st_mtim};
        total += info.st_size;
    }
    if (items->count > 0)
        qsort(items->list, items->count, sizeof *items->list, compare_use);
    return total;
}

/* Removes a file nobody uses; false when it is in use. */
static bool cache_evict(const char *path) {
    _cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    return descriptor < 0 || (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0);
}

/* Makes room for `size` bytes and reserves them as the exclusively locked file `path`; -1 with *err. */
static int cache_reserve(const struct cache *cache, const char *path, int64_t size, struct error *err) {
    _cleanup_close_ int room = lock_open(cache, "room", err);
    _cleanup_(items_free) struct items items = {0};
    if (room < 0)
        return -1;
    unlink(path); /* of a fetch that was killed; nobody else fetches this while we hold its lock */
    int64_t total = cache_scan(cache, &items, err);
    for (size_t i = 0; total >= 0 && i < items.count && total + size > cache->limit; i++)
        if (cache_evict(items.list[i].path))
            total -= items.list[i].size;
    if (total < 0)
        return -1;
    if (total + size > cache->limit) {
        error_set(err, ERR_DISK_FULL,
                  "the cache %s cannot hold %lld more bytes: its limit is %lld and %lld are in use; raise "
                  "the limit",
                  cache->objects, (long long)size, (long long)cache->limit, (long long)total);
        return -1;
    }
    _cleanup_close_ int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0 || !lock_wait(descriptor, LOCK_EX) || ftruncate(descriptor, size) != 0) {
        error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
        return -1;
    }
    int reserved = descriptor;
    descriptor = -1;
    return reserved;
}

struct download {
    int descriptor;
    int64_t size, done;
};

/* The object may not outgrow what was reserved for it. */
static bool sink_write_reserved(void *context, const void *data, size_t length, struct error *err) {
    struct download *download = context;
    download->done += (int64_t)length;
    if (download->done > download->size)
        return error_set(err, ERR_STORE_UNAVAILABLE, "the object changed while it was read");
    return sink_write_descriptor(&download->descriptor, data, length, err);
}

/* Renames under the lock of those who sum up the folder: they must not see the file under both names, or under none. */
static bool cache_publish(const struct cache *cache, const char *part, const char *path, struct error *err) {
    _cleanup_close_ int room = lock_open(cache, "room", err);
    return room >= 0 && (rename(part, path) == 0 || error_set_errno(err, ERR_IO, errno, "cannot write %s", path));
}

/* Downloads into the cache; the caller holds the name's lock. */
static struct cache_entry *cache_download(const struct cache *cache, struct store *store, const char *key,
                                          const struct store_stat *stat, const char *path, struct error *err) {
    _cleanup_free_ char *part = xasprintf("%s.part", path);
    _cleanup_close_ int descriptor = cache_reserve(cache, part, stat->size, err);
    if (descriptor < 0)
        return NULL;
    struct download state = {descriptor, stat->size, 0};
    bool ok = store->operations->get(store, key, 0, -1, *stat->etag ? stat->etag : NULL,
                                     &(struct sink){sink_write_reserved, &state}, err);
    if (ok && state.done != stat->size)
        ok = error_set(err, ERR_STORE_UNAVAILABLE, "%s changed while it was read", key);
    ok = ok && cache_publish(cache, part, path, err);
    if (!ok) {
        unlink(part);
        return NULL;
    }
    if (!entry_lock_shared(descriptor)) {
        error_set(err, ERR_DISK_FULL, "%s was pushed out of the cache %s at once; raise its limit", key,
                  cache->objects);
        return NULL;
    }
    int held = descriptor;
    descriptor = -1;
    return entry_new(xstrdup(path), held);
}

/* Where the object as described by `stat` lives in the cache; caller frees. */
static char *cache_path(const struct cache *cache, const struct store *store, const char *key,
                        const struct store_stat *stat) {
    _cleanup_free_ char *identity = *stat->etag ? xasprintf("%s\n%s\n%s", store->url, key, stat->etag)
                                                : xasprintf("%s\n%s\n%lld\n%lld", store->url, key,
                                                            (long long)stat->size, (long long)stat->modified_ms);
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of(identity, strlen(identity), digest);
    hex_encode(digest, sizeof digest, hex);
    return xasprintf("%s/%s", cache->objects, hex);
}

struct cache_entry *cache_fetch(struct cache *cache, struct store *store, const char *key, struct error *err) {
    struct store_stat stat;
    if (!store_head(store, key, &stat, err))
        return NULL;
    char *local = store->operations->local_path(store, key);
    if (local)
        return entry_new(local, -1);
    _cleanup_free_ char *path = cache_path(cache, store, key, &stat);
    struct cache_entry *entry = entry_open(path);
    if (entry)
        return entry;
    char stripe[3] = {0};
    memcpy(stripe, strrchr(path, '/') + 1, 2);
    _cleanup_close_ int lock = lock_open(cache, stripe, err);
    if (lock < 0)
        return NULL;
    entry = entry_open(path);
    return entry ? entry : cache_download(cache, store, key, &stat, path, err);
}
