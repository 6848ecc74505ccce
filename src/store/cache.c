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
#include <sys/statvfs.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/backend.h"

enum { LOCK_POLL_MS = 50 };

struct cache {
    char *objects, *locks;
    int64_t limit;
};

/* What is to be fetched; strings are borrowed. */
struct cache_object {
    struct store *store;
    const char *key;
    const char *sha256; /* hex; NULL: not known */
    struct store_stat stat;
};

struct cache_entry {
    char *path;
    int descriptor; /* holds the shared lock; -1 for an object of a file store */
};

struct item {
    char *path;
    int64_t size;
    struct timespec used;
};

struct items {
    struct item *list;
    size_t count, capacity;
    size_t next;   /* to be looked at when room is made */
    int64_t total; /* bytes of those that were not evicted */
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

/* All files with their sizes, oldest use first. */
static bool cache_scan(const struct cache *cache, struct items *items, struct error *err) {
    _cleanup_closedir_ DIR *folder = opendir(cache->objects);
    if (!folder)
        return error_set_errno(err, ERR_IO, errno, "cannot read the cache %s", cache->objects);
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
        items->total += info.st_size;
    }
    if (items->count > 0)
        qsort(items->list, items->count, sizeof *items->list, compare_use);
    return true;
}

/* Of what the volume has free and of what the cache holds by now, half: the other half is for scratch space, which a
 * job needs beside its cached inputs. A machine with a huge disk is not filled for the sake of it. */
enum { CACHE_SHARE_PERCENT = 50 };
static const int64_t cache_limit_most = 100LL << 30;

/* A limit that fits the volume. */
static int64_t cache_limit_of_volume(const struct cache *cache, struct error *err) {
    _cleanup_(items_free) struct items items = {0};
    struct statvfs volume;
    if (!cache_scan(cache, &items, err))
        return -1;
    if (statvfs(cache->objects, &volume) != 0) {
        error_set_errno(err, ERR_IO, errno, "cannot ask how much space %s has", cache->objects);
        return -1;
    }
    double room = (double)volume.f_bavail * (double)volume.f_frsize + (double)items.total;
    return (int64_t)MIN(room * CACHE_SHARE_PERCENT / 100, (double)cache_limit_most);
}

struct cache *cache_open(const char *directory, int64_t limit, struct error *err) {
    _cleanup_cache_ struct cache *cache = xnew(struct cache);
    cache->objects = xasprintf("%s/objects", directory);
    cache->locks = xasprintf("%s/locks", directory);
    cache->limit = limit;
    if (!directory_make(cache->objects, err) || !directory_make(cache->locks, err))
        return NULL;
    if (limit == 0)
        cache->limit = cache_limit_of_volume(cache, err);
    return cache->limit >= 0 ? steal(cache) : NULL;
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

/* With a flag that may end the wait, the lock is tried again and again: flock itself ends only by a signal. False with
 * errno, ECANCELED when the flag was raised. */
static bool lock_wait(int descriptor, int how, const atomic_bool *cancel) {
    while (flock(descriptor, cancel ? how | LOCK_NB : how) != 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            return false;
        if (is_cancelled(cancel)) {
            errno = ECANCELED;
            return false;
        }
        if (errno == EWOULDBLOCK)
            clock_sleep_ms(clock_system(), LOCK_POLL_MS);
    }
    return true;
}

/* Opens the lock file of this name and locks it, waiting for whoever has it; -1 and *err on failure, `cancelled` when
 * the flag is raised. Closing the descriptor unlocks it. */
static int lock_open(const struct cache *cache, const char *name, const atomic_bool *cancel, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", cache->locks, name);
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor >= 0 && lock_wait(descriptor, LOCK_EX, cancel))
        return descriptor;
    if (cancel_check(cancel, err))
        error_set_errno(err, ERR_IO, errno, "cannot lock %s", path);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

/* Locks the file shared; false when it has no name any more: it may have been removed before it was locked. */
static bool entry_lock_shared(int descriptor) {
    struct stat info;
    return lock_wait(descriptor, LOCK_SH, NULL) && fstat(descriptor, &info) == 0 && info.st_nlink > 0;
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

/* Removes a file nobody uses; false when it is in use. */
static bool cache_evict(const char *path) {
    _cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    return descriptor < 0 || (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0);
}

/* Removes the entry that was not used for longest of those nobody uses; false when none is left. */
static bool cache_evict_next(struct items *items) {
    while (items->next < items->count) {
        const struct item *oldest = &items->list[items->next++];
        if (!cache_evict(oldest->path))
            continue;
        items->total -= oldest->size;
        return true;
    }
    return false;
}

/* Where a file system cannot allocate, the free space is compared instead, so that a full disk is found before the
 * download either way. False with errno. */
static bool descriptor_allocate(int descriptor, int64_t size) {
    struct statvfs volume;
    if (size == 0 || fallocate(descriptor, 0, 0, size) == 0)
        return true;
    if (errno != EOPNOTSUPP)
        return false;
    if (fstatvfs(descriptor, &volume) == 0 && (double)volume.f_bavail * (double)volume.f_frsize < (double)size) {
        errno = ENOSPC;
        return false;
    }
    return ftruncate(descriptor, size) == 0;
}

static bool errno_is_full(int errno_value) { return errno_value == ENOSPC || errno_value == EDQUOT; }

/* The exclusively locked new file `path` of `size` bytes that the disk has; others may have filled the disk although
 * the cache is below its limit, so entries give way here too. -1 with *err. */
static int cache_allocate(struct items *items, const char *path, int64_t size, struct error *err) {
    for (;;) {
        _cleanup_close_ int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (descriptor >= 0 && lock_wait(descriptor, LOCK_EX, NULL) && descriptor_allocate(descriptor, size)) {
            int reserved = descriptor;
            descriptor = -1;
            return reserved;
        }
        int failure = errno;
        if (descriptor >= 0)
            unlink(path);
        if (failure != EINTR && !(errno_is_full(failure) && cache_evict_next(items))) {
            error_set_errno(err, ERR_IO, failure, "cannot write %s", path);
            return -1;
        }
    }
}

/* Makes room for `size` bytes and reserves them as the exclusively locked file `path`; -1 with *err. */
static int cache_reserve(const struct cache *cache, const struct cache_object *object, const char *path,
                         struct error *err) {
    int64_t size = object->stat.size;
    _cleanup_close_ int room = lock_open(cache, "room", object->store->cancel, err);
    _cleanup_(items_free) struct items items = {0};
    if (room < 0)
        return -1;
    unlink(path); /* of a fetch that was killed; nobody else fetches this while we hold its lock */
    if (!cache_scan(cache, &items, err))
        return -1;
    while (items.total + size > cache->limit)
        if (!cache_evict_next(&items)) {
            error_set(err, ERR_DISK_FULL,
                      "the cache %s cannot hold %lld more bytes: its limit is %lld and %lld are in use; raise "
                      "the limit",
                      cache->objects, (long long)size, (long long)cache->limit, (long long)items.total);
            return -1;
        }
    return cache_allocate(&items, path, size, err);
}

struct download {
    int descriptor;
    int64_t size, done;
    struct sha256 *hash; /* NULL: the object's hash is not known */
};

/* The object may not outgrow what was reserved for it. */
static bool sink_write_reserved(void *context, const void *data, size_t length, struct error *err) {
    struct download *download = context;
    download->done += (int64_t)length;
    if (download->done > download->size)
        return error_set(err, ERR_STORE_UNAVAILABLE, "the object changed while it was read");
    if (download->hash)
        sha256_update(download->hash, data, length);
    return sink_write_descriptor(&download->descriptor, data, length, err);
}

/* Every byte came, and the bytes are those that the name promises. */
static bool download_check(struct download *download, const char *key, const char *sha256, struct error *err) {
    if (download->done != download->size)
        return error_set(err, ERR_STORE_UNAVAILABLE, "%s changed while it was read", key);
    if (!sha256)
        return true;
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_finish(steal(download->hash), digest);
    hex_encode(digest, sizeof digest, hex);
    return strcmp(hex, sha256) == 0 ||
           error_set(err, ERR_STORE_HASH_MISMATCH, "%s holds other bytes: their SHA-256 is %s", key, hex);
}

/* The bytes reach the disk before the name does: after a power cut a name without them would be read as a damaged
 * file, by every later job. Renames under the lock of those who sum up the folder: they must not see the file under
 * both names, or under none. */
static bool cache_publish(const struct cache *cache, int descriptor, const char *part, const char *path,
                          struct error *err) {
    if (fsync(descriptor) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", part);
    _cleanup_close_ int room = lock_open(cache, "room", NULL, err);
    if (room < 0)
        return false;
    bool renamed = file_rename(part, path, err);
    if (!renamed)
        unlink(path); /* it has its new name when only the folder's sync failed */
    return renamed;
}

static bool download_run(int descriptor, const struct cache_object *object, struct error *err) {
    const struct store_stat *stat = &object->stat;
    struct download state = {descriptor, stat->size, 0, object->sha256 ? sha256_new() : NULL};
    bool ok = object->store->operations->get(object->store, object->key, 0, -1, *stat->etag ? stat->etag : NULL,
                                             &(struct sink){sink_write_reserved, &state}, err) &&
              download_check(&state, object->key, object->sha256, err);
    if (state.hash)
        sha256_free(state.hash);
    return ok;
}

/* Downloads into the cache; the caller holds the name's lock. */
static struct cache_entry *cache_download(const struct cache *cache, const struct cache_object *object,
                                          const char *path, struct error *err) {
    _cleanup_free_ char *part = xasprintf("%s.part", path);
    _cleanup_close_ int descriptor = cache_reserve(cache, object, part, err);
    if (descriptor < 0)
        return NULL;
    if (!download_run(descriptor, object, err) || !cache_publish(cache, descriptor, part, path, err)) {
        unlink(part);
        return NULL;
    }
    if (!entry_lock_shared(descriptor)) {
        error_set(err, ERR_DISK_FULL, "%s was pushed out of the cache %s at once; raise its limit", object->key,
                  cache->objects);
        return NULL;
    }
    int held = descriptor;
    descriptor = -1;
    return entry_new(xstrdup(path), held);
}

/* Where the object lives in the cache; caller frees. */
static char *cache_path(const struct cache *cache, const struct cache_object *object) {
    const struct store_stat *stat = &object->stat;
    const char *url = object->store->url, *key = object->key;
    _cleanup_free_ char *identity =
        *stat->etag ? xasprintf("%s\n%s\n%s", url, key, stat->etag)
                    : xasprintf("%s\n%s\n%lld\n%lld", url, key, (long long)stat->size, (long long)stat->modified_ms);
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of(identity, strlen(identity), digest);
    hex_encode(digest, sizeof digest, hex);
    return xasprintf("%s/%s", cache->objects, hex);
}

struct cache_entry *cache_fetch(struct cache *cache, struct store *store, const char *key, const char *sha256,
                                struct error *err) {
    struct cache_object object = {store, key, sha256, {0}};
    if (!store_head(store, key, &object.stat, err))
        return NULL;
    char *local = store->operations->local_path(store, key);
    if (local)
        return entry_new(local, -1);
    _cleanup_free_ char *path = cache_path(cache, &object);
    struct cache_entry *entry = entry_open(path);
    if (entry)
        return entry;
    char stripe[3] = {0};
    memcpy(stripe, strrchr(path, '/') + 1, 2);
    _cleanup_close_ int lock = lock_open(cache, stripe, store->cancel, err);
    if (lock < 0)
        return NULL;
    entry = entry_open(path);
    return entry ? entry : cache_download(cache, &object, path, err);
}
