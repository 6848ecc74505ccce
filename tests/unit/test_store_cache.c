/* The cache over a made-up remote store whose objects are computed from their key, and which logs every
 * download to a file, so that downloads of several processes can be counted. */
#include "directory_fixture.h"
#include "disk_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "base/process.h"
#include "base/thread.h"
#include "store/backend.h"
#include "store/input.h"

enum { SIZE = 100000, CHUNK = 10000 };

struct remote {
    struct store store;
    char version; /* part of every ETag and of every object's bytes */
    int log;
    int fail_after; /* chunks; 0: never */
};

static bool remote_head(struct store *store, const char *key, struct store_stat *stat, struct error *err) {
    if (strcmp(key, "none") == 0)
        return error_set(err, ERR_STORE_NOT_FOUND, "no %s", key);
    *stat = (struct store_stat){.size = SIZE};
    snprintf(stat->etag, sizeof stat->etag, "%c", ((struct remote *)store)->version);
    return true;
}

static bool remote_get(struct store *store, const char *key, int64_t offset, int64_t length, const char *etag,
                       const struct sink *sink, struct error *err) {
    struct remote *remote = (struct remote *)store;
    assert_int_equal(write(remote->log, "x", 1), 1);
    char chunk[CHUNK];
    memset(chunk, key[0] + remote->version, sizeof chunk);
    for (int i = 0; i < SIZE / CHUNK; i++) {
        if (remote->fail_after && i == remote->fail_after)
            return error_set(err, ERR_STORE_UNAVAILABLE, "gone");
        if (!sink->write(sink->context, chunk, sizeof chunk, err))
            return false;
    }
    return true;
}

static char *remote_local_path(struct store *store, const char *key) { return NULL; }

static const struct store_operations remote_operations = {
    .head = remote_head, .get = remote_get, .local_path = remote_local_path};

struct fixture {
    char *directory, *cache;
    struct remote remote;
};

static int setup(void **state) {
    struct fixture *fixture = xnew(struct fixture);
    fixture->directory = directory_for_test();
    fixture->cache = xasprintf("%s/cache", fixture->directory);
    _cleanup_free_ char *log = xasprintf("%s/log", fixture->directory);
    fixture->remote.store.operations = &remote_operations;
    fixture->remote.store.url = xstrdup("remote://x");
    fixture->remote.version = '1';
    fixture->remote.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    close(fixture->remote.log);
    tree_remove(fixture->directory);
    free(fixture->remote.store.url);
    free(fixture->cache);
    free(fixture->directory);
    free(fixture);
    return 0;
}

static struct cache *open_cache(const struct fixture *fixture, int objects) {
    struct error err;
    struct cache *cache = cache_open(fixture->cache, (int64_t)objects * SIZE, &err);
    assert_ok(cache, err);
    return cache;
}

static int downloads(const struct fixture *fixture) {
    struct stat info;
    assert_int_equal(fstat(fixture->remote.log, &info), 0);
    return (int)info.st_size;
}

/* Summed under the lock of those who make room, while nothing is added or renamed. */
static int64_t bytes_kept(const struct fixture *fixture) {
    _cleanup_free_ char *lock = xasprintf("%s/locks/room", fixture->cache);
    _cleanup_close_ int room = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(room, LOCK_EX), 0);
    _cleanup_free_ char *path = xasprintf("%s/objects", fixture->cache);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    int64_t total = 0;
    struct stat info;
    for (struct dirent *item; (item = readdir(folder));)
        if (item->d_name[0] != '.' && fstatat(dirfd(folder), item->d_name, &info, 0) == 0)
            total += info.st_size;
    closedir(folder);
    return total;
}

static bool is_right(const char *path, int byte) {
    struct error err;
    _cleanup_buffer_ struct buffer bytes = {0};
    if (!file_read(path, SIZE, &bytes, &err) || bytes.length != SIZE)
        return false;
    for (size_t i = 0; i < SIZE; i++)
        if (bytes.data[i] != (char)byte)
            return false;
    return true;
}

static struct cache_entry *fetch(struct cache *cache, struct fixture *fixture, const char *key) {
    struct error err;
    struct cache_entry *entry = cache_fetch(cache, &fixture->remote.store, key, NULL, &err);
    assert_ok(entry, err);
    assert_true(is_right(cache_entry_path(entry), key[0] + fixture->remote.version));
    return entry;
}

static void touch(struct cache *cache, struct fixture *fixture, const char *key) {
    cache_release(fetch(cache, fixture, key));
}

static void fetches_once(void **state) {
    struct fixture *fixture = *state;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 10);
    _cleanup_cache_entry_ struct cache_entry *first = fetch(cache, fixture, "a");
    _cleanup_cache_entry_ struct cache_entry *second = fetch(cache, fixture, "a");
    assert_string_equal(cache_entry_path(first), cache_entry_path(second));
    assert_int_equal(downloads(fixture), 1);
    _cleanup_cache_ struct cache *later = open_cache(fixture, 10);
    touch(later, fixture, "a");
    assert_int_equal(downloads(fixture), 1);
}

static void follows_the_etag(void **state) {
    struct fixture *fixture = *state;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 10);
    _cleanup_cache_entry_ struct cache_entry *old = fetch(cache, fixture, "a");
    fixture->remote.version = '2';
    touch(cache, fixture, "a");
    assert_int_equal(downloads(fixture), 2);
    assert_true(is_right(cache_entry_path(old), 'a' + '1'));
}

static void forgets_the_longest_unused(void **state) {
    struct fixture *fixture = *state;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 3);
    touch(cache, fixture, "a");
    touch(cache, fixture, "b");
    touch(cache, fixture, "c");
    touch(cache, fixture, "a"); /* now b is the oldest */
    touch(cache, fixture, "d");
    assert_int_equal(bytes_kept(fixture), 3 * SIZE);
    assert_int_equal(downloads(fixture), 4);
    touch(cache, fixture, "a");
    touch(cache, fixture, "c");
    touch(cache, fixture, "d");
    assert_int_equal(downloads(fixture), 4);
    touch(cache, fixture, "b");
    assert_int_equal(downloads(fixture), 5);
}

static void keeps_what_is_in_use(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 2);
    _cleanup_cache_entry_ struct cache_entry *a = fetch(cache, fixture, "a");
    touch(cache, fixture, "b");
    touch(cache, fixture, "c"); /* takes b's place, though a is older */
    assert_true(is_right(cache_entry_path(a), 'a' + '1'));
    _cleanup_cache_entry_ struct cache_entry *c = fetch(cache, fixture, "c");
    assert_int_equal(downloads(fixture), 3);
    assert_code(cache_fetch(cache, &fixture->remote.store, "d", NULL, &err) != NULL, ERR_DISK_FULL, err);
    assert_int_equal(bytes_kept(fixture), 2 * SIZE);
    cache_release(steal(a));
    touch(cache, fixture, "d");
    assert_true(is_right(cache_entry_path(c), 'c' + '1'));
}

static void failure_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 2);
    fixture->remote.fail_after = 3;
    assert_code(cache_fetch(cache, &fixture->remote.store, "a", NULL, &err) != NULL, ERR_STORE_UNAVAILABLE, err);
    assert_code(cache_fetch(cache, &fixture->remote.store, "none", NULL, &err) != NULL, ERR_STORE_NOT_FOUND, err);
    assert_code(cache_fetch(cache, &fixture->remote.store, "../a", NULL, &err) != NULL, ERR_STORE_INVALID_KEY, err);
    assert_int_equal(bytes_kept(fixture), 0);
    fixture->remote.fail_after = 0;
    touch(cache, fixture, "a");
}

/* A power cut may keep a name whose bytes were never written. */
static void bytes_are_synced_before_their_name(void **state) {
    struct fixture *fixture = *state;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 2);
    disk_reset();
    touch(cache, fixture, "a");
    assert_string_equal(disk.done, "frd");
}

/* Half of the volume, with what the cache holds already; the rest is for scratch space. */
static void the_volume_bounds_the_cache(void **state) {
    struct fixture *fixture = *state;
    disk_reset();
    disk.volume = 8 * SIZE;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 0);
    for (char key[2] = "a"; *key <= 'f'; ++*key)
        touch(cache, fixture, key);
    assert_int_equal(bytes_kept(fixture), 4 * SIZE);
    disk.volume = 4 * SIZE;
    _cleanup_cache_ struct cache *again = open_cache(fixture, 0);
    touch(again, fixture, "g");
    assert_int_equal(bytes_kept(fixture), 4 * SIZE);
}

/* The disk is full though the cache is below its limit: somebody else's files are on it. */
static void a_full_disk_takes_the_longest_unused(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    disk_reset();
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 100);
    touch(cache, fixture, "a");
    touch(cache, fixture, "b");
    touch(cache, fixture, "c");
    _cleanup_cache_entry_ struct cache_entry *c = fetch(cache, fixture, "c");
    disk.refusals = 2;
    touch(cache, fixture, "d");
    assert_int_equal(bytes_kept(fixture), 2 * SIZE); /* c and d */
    disk.refusals = 100;
    assert_code(cache_fetch(cache, &fixture->remote.store, "e", NULL, &err) != NULL, ERR_DISK_FULL, err);
    assert_int_equal(disk.refusals, 98); /* d gave way; c is in use */
    assert_int_equal(bytes_kept(fixture), SIZE);
    disk_reset();
    touch(cache, fixture, "e");
}

static void other_bytes_than_named_are_refused(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    char bytes[SIZE], hex[SHA256_HEX + 1];
    unsigned char digest[SHA256_BYTES];
    memset(bytes, 'f' + '1', sizeof bytes); /* what the remote has under keys in files/ */
    sha256_of(bytes, sizeof bytes, digest);
    hex_encode(digest, sizeof digest, hex);
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 10);
    _cleanup_free_ char *uri = xasprintf("sha256:%s", hex);
    _cleanup_cache_entry_ struct cache_entry *entry = input_fetch(cache, &fixture->remote.store, uri, &err);
    assert_ok(entry, err);
    uri[strlen(uri) - 1] = uri[strlen(uri) - 1] == '0' ? '1' : '0';
    assert_code(input_fetch(cache, &fixture->remote.store, uri, &err) != NULL, ERR_STORE_HASH_MISMATCH, err);
    assert_int_equal(bytes_kept(fixture), SIZE);
}

static void *raise_flag(void *flag) {
    clock_sleep_ms(clock_system(), 20); /* most likely the lock is waited for by then */
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

/* Somebody else downloads, and does not come to an end. */
static void a_flag_ends_the_wait_for_a_lock(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    atomic_bool cancel = false;
    pthread_t thread;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 10);
    _cleanup_free_ char *lock = xasprintf("%s/locks/room", fixture->cache);
    _cleanup_close_ int held = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(held, LOCK_EX), 0);
    fixture->remote.store.cancel = &cancel;
    assert_ok(thread_start(&thread, "raise", raise_flag, &cancel, &err), err);
    assert_code(cache_fetch(cache, &fixture->remote.store, "a", NULL, &err) != NULL, ERR_CANCELLED, err);
    pthread_join(thread, NULL);
    assert_int_equal(downloads(fixture), 0);
    close(held);
    held = -1;
    atomic_store(&cancel, false);
    touch(cache, fixture, "a");
}

static void removes_leftovers_of_the_killed(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 2);
    struct cache_entry *entry = fetch(cache, fixture, "a");
    _cleanup_free_ char *part = xasprintf("%s.part", cache_entry_path(entry));
    assert_int_equal(rename(cache_entry_path(entry), part), 0); /* as if killed before its rename */
    cache_release(entry);
    touch(cache, fixture, "a");
    assert_int_equal(access(part, F_OK), -1);
    assert_ok(file_write_atomic(part, "leftover", 8, 0600, &err), err);
    touch(cache, fixture, "b");
    touch(cache, fixture, "c");
    assert_true(bytes_kept(fixture) <= 2 * SIZE);
}

static void file_store_needs_no_copy(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_free_ char *url = xasprintf("file://%s/store", fixture->directory);
    _cleanup_free_ char *wanted = xasprintf("%s/store/a/b", fixture->directory);
    _cleanup_store_ struct store *store = store_open(url, NULL, &err);
    assert_ok(store, err);
    assert_ok(store_put(store, "a/b", "x", 1, 0, &err), err);
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 1);
    _cleanup_cache_entry_ struct cache_entry *entry = cache_fetch(cache, store, "a/b", NULL, &err);
    assert_ok(entry, err);
    assert_string_equal(cache_entry_path(entry), wanted);
    assert_code(cache_fetch(cache, store, "a/c", NULL, &err) != NULL, ERR_STORE_NOT_FOUND, err);
}

/* Runs `work` in `count` processes that start together; true when all succeed. */
static bool in_processes(int count, struct fixture *fixture, bool (*work)(struct fixture *fixture, int number)) {
    int start[2];
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid > 0)
            continue;
        char byte;
        close(start[1]);
        bool ok = read(start[0], &byte, 1) == 0 && work(fixture, i);
        _exit(ok ? 0 : 1);
    }
    close(start[0]);
    close(start[1]);
    bool all = true;
    for (int i = 0, status; i < count; i++)
        all &= wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return all;
}

static bool fetch_same(struct fixture *fixture, int number) {
    struct error err;
    struct cache *cache = cache_open(fixture->cache, 10 * SIZE, &err);
    struct cache_entry *entry = cache ? cache_fetch(cache, &fixture->remote.store, "a", NULL, &err) : NULL;
    return entry && is_right(cache_entry_path(entry), 'a' + '1');
}

static void processes_download_once(void **state) {
    struct fixture *fixture = *state;
    assert_true(in_processes(8, fixture, fetch_same));
    assert_int_equal(downloads(fixture), 1);
}

/* Four processes hold one entry each in a cache of six objects and always see it whole. */
static bool fetch_many(struct fixture *fixture, int number) {
    struct error err;
    struct cache *cache = cache_open(fixture->cache, 6 * SIZE, &err);
    for (int i = 0; cache && i < 60; i++) {
        char key[2] = {(char)('a' + (i * 7 + number * 3) % 12)};
        struct cache_entry *entry = cache_fetch(cache, &fixture->remote.store, key, NULL, &err);
        if (!entry || !is_right(cache_entry_path(entry), key[0] + '1') || bytes_kept(fixture) > 6 * SIZE)
            return false;
        cache_release(entry);
    }
    return cache;
}

static void processes_share_the_bound(void **state) {
    struct fixture *fixture = *state;
    assert_true(in_processes(4, fixture, fetch_many));
    assert_true(downloads(fixture) >= 12);
}

static void inputs(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    struct store_stat stat;
    static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    _cleanup_free_ char *url = xasprintf("file://%s/store", fixture->directory);
    _cleanup_free_ char *uri = xasprintf("sha256:%s", sha), *key = xasprintf("files/%s", sha);
    _cleanup_store_ struct store *store = store_open(url, NULL, &err);
    assert_ok(store, err);
    assert_code(input_check(store, uri, &stat, &err), ERR_STORE_NOT_FOUND, err);
    assert_non_null(strstr(err.message, uri));
    assert_ok(store_put(store, key, "abc", 3, 0, &err), err);
    assert_ok(input_check(store, uri, &stat, &err), err);
    assert_int_equal(stat.size, 3);
    _cleanup_cache_ struct cache *cache = open_cache(fixture, 1);
    _cleanup_cache_entry_ struct cache_entry *entry = input_fetch(cache, store, uri, &err);
    assert_ok(entry, err);
    static const char *const bad[] = {"",        "sha256:0",           "s3://bucket", "s3://bucket/",
                                      "s3:///k", "file:///etc/passwd", "/etc/passwd", "http://x/y"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_code(input_check(store, bad[i], &stat, &err), ERR_STORE_INVALID_URL, err);
    assert_code(input_check(store, "s3://bucket/../k", &stat, &err), ERR_STORE_INVALID_KEY, err);
}

#define with_remote(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        with_remote(fetches_once),
        with_remote(follows_the_etag),
        with_remote(forgets_the_longest_unused),
        with_remote(keeps_what_is_in_use),
        with_remote(failure_leaves_nothing),
        with_remote(bytes_are_synced_before_their_name),
        with_remote(the_volume_bounds_the_cache),
        with_remote(a_full_disk_takes_the_longest_unused),
        with_remote(other_bytes_than_named_are_refused),
        with_remote(a_flag_ends_the_wait_for_a_lock),
        with_remote(removes_leftovers_of_the_killed),
        with_remote(file_store_needs_no_copy),
        with_remote(processes_download_once),
        with_remote(processes_share_the_bound),
        with_remote(inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
