#include "directory_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/process.h"
#include "store/store.h"

static int links_refused; /* errno of every linkat; 0: it does as asked */

/* Stands before libc's. */
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (!links_refused)
        return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    errno = links_refused;
    return -1;
}

struct fixture {
    char *directory;
    struct store *store;
};

static int setup(void **state) {
    struct error err;
    struct fixture *fixture = xnew(struct fixture);
    fixture->directory = directory_for_test();
    _cleanup_free_ char *url = xasprintf("file://%s/root", fixture->directory);
    fixture->store = store_open(url, NULL, &err);
    assert_ok(fixture->store, err);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    store_close(fixture->store);
    tree_remove(fixture->directory);
    free(fixture->directory);
    free(fixture);
    return 0;
}

static void put_text(struct store *store, const char *key, const char *text) {
    struct error err;
    assert_ok(store_put(store, key, text, strlen(text), 0, &err), err);
}

static void assert_holds(struct store *store, const char *key, const char *text) {
    struct error err;
    _cleanup_buffer_ struct buffer out = {0};
    assert_ok(store_get(store, key, 1 << 20, &out, &err), err);
    assert_int_equal(out.length, strlen(text));
    assert_memory_equal(out.data ? out.data : "", text, out.length);
}

/* How many entries a folder below the fixture's directory has. */
static int count_entries(const struct fixture *fixture, const char *folder) {
    _cleanup_free_ char *path = xasprintf("%s/%s", fixture->directory, folder);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int count = -2;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void round_trip(void **state) {
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct error err;
    put_text(store, "campaigns/a/spec.json", "first");
    put_text(store, "campaigns/a/spec.json", "second");
    put_text(store, "empty", "");
    assert_holds(store, "campaigns/a/spec.json", "second");
    assert_holds(store, "empty", "");
    struct store_stat stat;
    assert_ok(store_head(store, "campaigns/a/spec.json", &stat, &err), err);
    assert_int_equal(stat.size, 6);
    assert_true(stat.modified_ms > 1600000000000);
    assert_string_equal(stat.etag, "");
    assert_ok(store_delete(store, "campaigns/a/spec.json", &err), err);
    assert_ok(store_delete(store, "campaigns/a/spec.json", &err), err);
    assert_code(store_head(store, "campaigns/a/spec.json", &stat, &err), ERR_STORE_NOT_FOUND, err);
    assert_non_null(strstr(err.message, "campaigns/a/spec.json"));
}

static void ranges(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    put_text(store, "k", "0123456789");
    static const struct {
        int64_t offset;
        size_t length;
        const char *wanted;
    } cases[] = {{0, 3, "012"}, {4, 2, "45"}, {8, 10, "89"}, {10, 5, ""}, {50, 5, ""}, {3, 0, ""}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_buffer_ struct buffer out = {0};
        assert_ok(store_get_range(store, "k", cases[i].offset, cases[i].length, &out, &err), err);
        assert_string_equal(out.data ? out.data : "", cases[i].wanted);
    }
}

static void limit(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    put_text(store, "k", "0123456789");
    _cleanup_buffer_ struct buffer out = {0};
    buffer_append_text(&out, "before");
    assert_code(store_get(store, "k", 9, &out, &err), ERR_STORE_TOO_LARGE, err);
    assert_string_equal(out.data, "before");
    assert_ok(store_get(store, "k", 10, &out, &err), err);
    assert_string_equal(out.data, "before0123456789");
}

static void files(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/local", fixture->directory);
    _cleanup_free_ char *copy = xasprintf("%s/copy", fixture->directory);
    size_t size = 3000001;
    _cleanup_free_ char *bytes = xcalloc(1, size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    assert_ok(file_write_atomic(path, bytes, size, 0600, &err), err);
    assert_ok(store_put_file(fixture->store, "big", path, 0, &err), err);
    assert_ok(store_get_file(fixture->store, "big", copy, &err), err);
    _cleanup_buffer_ struct buffer out = {0};
    assert_ok(file_read(copy, SIZE_MAX, &out, &err), err);
    assert_int_equal(out.length, size);
    assert_memory_equal(out.data, bytes, size);
    struct store_totals totals;
    store_totals_get(fixture->store, &totals);
    assert_int_equal(totals.bytes_read, size);
    assert_int_equal(totals.bytes_written, size);
    assert_code(store_get_file(fixture->store, "none", copy, &err), ERR_STORE_NOT_FOUND, err);
    assert_int_equal(count_entries(fixture, "."), 3); /* root, local, copy: nothing half-written */
}

static void refuses_keys(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    char longest[1026];
    memset(longest, 'a', sizeof longest);
    for (size_t i = 100; i < sizeof longest; i += 100)
        longest[i] = '/';
    longest[1025] = '\0';
    const char *const bad[] = {"",     "/a",  "a/",   "a//b",  ".",      "..",   "../a",   "a/../b", "a/.",
                               "a/..", "./a", "a\nb", "a\x7f", "a/\x01", ".tmp", ".tmp/a", longest};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct store_stat stat;
        _cleanup_buffer_ struct buffer out = {0};
        assert_code(store_put(store, bad[i], "x", 1, 0, &err), ERR_STORE_INVALID_KEY, err);
        assert_null(strpbrk(err.message, "\n\x01\x7f"));
        assert_code(store_get(store, bad[i], 10, &out, &err), ERR_STORE_INVALID_KEY, err);
        assert_code(store_head(store, bad[i], &stat, &err), ERR_STORE_INVALID_KEY, err);
        assert_code(store_delete(store, bad[i], &err), ERR_STORE_INVALID_KEY, err);
    }
    longest[1024] = '\0';
    const char *const good[] = {"...",          "a..b", "..a", ".hidden", ".tmpx", "x/.tmp", "a b+c%2f'\"<&>\\",
                                "\xe0\xa4\xb9", longest};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        put_text(store, good[i], good[i]);
        assert_holds(store, good[i], good[i]);
    }
}

static void objects_are_no_folders(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    put_text(store, "a/b", "x");
    _cleanup_buffer_ struct buffer out = {0};
    assert_code(store_get(store, "a", 10, &out, &err), ERR_STORE_NOT_FOUND, err);
    assert_code(store_get(store, "a/b/c", 10, &out, &err), ERR_STORE_NOT_FOUND, err);
    assert_code(store_put(store, "a", "x", 1, 0, &err), ERR_STORE_INVALID_KEY, err);
    assert_code(store_put(store, "a/b/c", "x", 1, 0, &err), ERR_STORE_INVALID_KEY, err);
    assert_ok(store_delete(store, "a", &err), err);
    assert_holds(store, "a/b", "x");
    assert_ok(store_delete(store, "a/b", &err), err);
    put_text(store, "a", "now an object"); /* the empty folder went with its last object */
}

static bool append_key(const char *key, const struct store_stat *stat, void *context) {
    buffer_appendf(context, "%s ", key);
    return true;
}

static void follows_no_links(void **state) {
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct error err;
    _cleanup_free_ char *outside = xasprintf("%s/outside", fixture->directory);
    _cleanup_free_ char *secret = xasprintf("%s/secret", outside);
    _cleanup_free_ char *folder_link = xasprintf("%s/root/link", fixture->directory);
    _cleanup_free_ char *file_link = xasprintf("%s/root/file", fixture->directory);
    assert_ok(directory_make(outside, &err), err);
    assert_ok(file_write_atomic(secret, "s", 1, 0600, &err), err);
    assert_int_equal(symlink(outside, folder_link), 0);
    assert_int_equal(symlink(secret, file_link), 0);
    _cleanup_buffer_ struct buffer out = {0}, keys = {0};
    assert_code(store_get(store, "link/secret", 10, &out, &err), ERR_STORE_NOT_FOUND, err);
    assert_code(store_get(store, "file", 10, &out, &err), ERR_STORE_DENIED, err);
    assert_code(store_put(store, "link/new", "x", 1, 0, &err), ERR_STORE_INVALID_KEY, err);
    assert_ok(store_delete(store, "link/secret", &err), err);
    assert_ok(store_list(store, "", append_key, &keys, &err), err);
    assert_null(keys.data);
    assert_int_equal(count_entries(fixture, "outside"), 1);
    put_text(store, "file", "replaces the link itself");
    assert_ok(file_read(secret, 10, &out, &err), err);
    assert_string_equal(out.data, "s");
}

static void lists_in_byte_order(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    static const char *const keys[] = {"a0", "b/c/d", "a/b", "a.b", "a-b", "a", "Z", "b/c!", "b/c/", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (strcmp(keys[i], "a") != 0 && strcmp(keys[i], "b/c/") != 0)
            put_text(store, keys[i], "x");
    static const char *const wanted[][2] = {{"", "Z a-b a.b a/b a0 b/c! b/c/d \xc3\xa9 "},
                                            {"a", "a-b a.b a/b a0 "},
                                            {"a/", "a/b "},
                                            {"b/c", "b/c! b/c/d "},
                                            {"b/c/", "b/c/d "},
                                            {"b/c/d", "b/c/d "},
                                            {"b/c/d/", ""},
                                            {"../", ""},
                                            {"x", ""}};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        _cleanup_buffer_ struct buffer out = {0};
        assert_ok(store_list(store, wanted[i][0], append_key, &out, &err), err);
        assert_string_equal(out.data ? out.data : "", wanted[i][1]);
    }
}

static bool first_only(const char *key, const struct store_stat *stat, void *context) {
    buffer_append_text(context, key);
    assert_int_equal(stat->size, 1);
    return false;
}

static void list_stops(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    put_text(store, "a/b/c", "x");
    put_text(store, "a/d", "x");
    put_text(store, "e", "x");
    _cleanup_buffer_ struct buffer out = {0};
    assert_ok(store_list(store, "", first_only, &out, &err), err);
    assert_string_equal(out.data, "a/b/c");
}

static void writer(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    {
        _cleanup_store_writer_ struct store_writer *left = store_writer_open(fixture->store, "k", 0, &err);
        assert_ok(left, err);
        assert_ok(store_writer_write(left, "abc", 3, &err), err);
        assert_int_equal(count_entries(fixture, "root/.tmp"), 1);
    }
    struct store_stat stat;
    assert_code(store_head(fixture->store, "k", &stat, &err), ERR_STORE_NOT_FOUND, err);
    struct store_writer *kept = store_writer_open(fixture->store, "k", 0, &err);
    assert_ok(kept, err);
    assert_ok(store_writer_write(kept, "abc", 3, &err), err);
    assert_code(store_head(fixture->store, "k", &stat, &err), ERR_STORE_NOT_FOUND, err);
    assert_ok(store_writer_write(kept, "def", 3, &err), err);
    assert_ok(store_writer_commit(kept, 0, &err), err);
    assert_holds(fixture->store, "k", "abcdef");
    assert_int_equal(count_entries(fixture, "root/.tmp"), 0);
}

enum { RACERS = 8, ROUNDS = 20 };

struct racer {
    struct store *store;
    pthread_barrier_t *barrier;
    int number, wins;
    char won[ROUNDS];
};

static void *race(void *context) {
    struct racer *racer = context;
    for (int round = 0; round < ROUNDS; round++) {
        struct error err = {0};
        _cleanup_free_ char *key = xasprintf("race/%d/deep/receipt", round), *text = xasprintf("%d", racer->number);
        pthread_barrier_wait(racer->barrier);
        bool won = store_put(racer->store, key, text, strlen(text), STORE_IF_ABSENT, &err);
        racer->won[round] = won;
        if (!won && err.code != ERR_STORE_EXISTS)
            racer->wins = -ROUNDS * RACERS;
        racer->wins += won;
    }
    return NULL;
}

static void one_creator_wins(void **state) {
    struct fixture *fixture = *state;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, RACERS);
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){fixture->store, &barrier, i, 0, {0}};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    int wins = 0;
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        wins += racers[i].wins;
    }
    assert_int_equal(wins, ROUNDS);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < RACERS; i++)
            if (racers[i].won[round]) {
                _cleanup_free_ char *key = xasprintf("race/%d/deep/receipt", round), *text = xasprintf("%d", i);
                assert_holds(fixture->store, key, text);
            }
    assert_int_equal(count_entries(fixture, "root/.tmp"), 0);
    pthread_barrier_destroy(&barrier);
}

/* Deletes prune the folder that puts are about to use: the put must not fail for it. */
static void *delete_often(void *context) {
    struct error err;
    for (int i = 0; i < 300; i++)
        if (!store_delete(context, "p/q/other", &err))
            return context;
    return NULL;
}

static void puts_survive_pruning(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct error err;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, delete_often, store), 0);
    for (int i = 0; i < 100; i++) {
        put_text(store, "p/q/other", "x");
        put_text(store, "p/q/mine", "x");
        assert_holds(store, "p/q/mine", "x");
        assert_ok(store_delete(store, "p/q/mine", &err), err);
    }
    void *result;
    pthread_join(thread, &result);
    assert_null(result);
}

static void sweeps_old_leftovers(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_free_ char *old = xasprintf("%s/root/.tmp/old", fixture->directory);
    _cleanup_free_ char *fresh = xasprintf("%s/root/.tmp/fresh", fixture->directory);
    _cleanup_free_ char *url = xasprintf("file://%s/root/", fixture->directory);
    assert_ok(file_write_atomic(old, "x", 1, 0600, &err), err);
    assert_ok(file_write_atomic(fresh, "x", 1, 0600, &err), err);
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, old, times, 0), 0);
    _cleanup_store_ struct store *again = store_open(url, NULL, &err);
    assert_ok(again, err);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(fresh, F_OK), 0);
}

/* A file system of 256 KiB, seen by this process only and gone with the fixture. */
static bool mount_tiny(const char *path) {
    struct error err;
    return directory_make(path, &err) && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", path, "tmpfs", 0, "size=256k") == 0;
}

static void disk_full(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    char path[4096], url[4104]; /* on the stack: skip() jumps over cleanups */
    snprintf(path, sizeof path, "%s/tiny", fixture->directory);
    snprintf(url, sizeof url, "file://%s", path);
    if (!mount_tiny(path))
        skip();
    {
        _cleanup_store_ struct store *tiny = store_open(url, NULL, &err);
        assert_ok(tiny, err);
        _cleanup_free_ char *bytes = xcalloc(1, 1 << 20);
        put_text(tiny, "small", "x");
        assert_code(store_put(tiny, "large", bytes, 1 << 20, 0, &err), ERR_DISK_FULL, err);
        assert_non_null(strstr(err.message, "large"));
        assert_int_equal(count_entries(fixture, "tiny/.tmp"), 0);
        struct store_stat stat;
        assert_code(store_head(tiny, "large", &stat, &err), ERR_STORE_NOT_FOUND, err);
        put_text(tiny, "small", "y"); /* room again */
        assert_holds(tiny, "small", "y");
    }
    assert_int_equal(umount(path), 0);
}

static void refuses_urls(void **state) {
    struct error err;
    static const char *const bad[] = {"",          "/tmp/x",   "file://relative", "http://x/y",  "s3:/b",   "s3://",
                                      "s3:///key", "s3://B/k", "s3://ab",         "S3://bucket", "s3://a_b"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_code(store_open(bad[i], NULL, &err) != NULL, ERR_STORE_INVALID_URL, err);
    assert_code(store_open("s3://bucket/a/../b", NULL, &err) != NULL, ERR_STORE_INVALID_KEY, err);
    assert_code(store_open("s3://bucket", &(struct store_options){.endpoint = "ftp://x"}, &err) != NULL,
                ERR_STORE_INVALID_URL, err);
    assert_code(store_open("file:///dev/null/x", NULL, &err) != NULL, ERR_IO, err);
}

#define with_store(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* As VFAT and some FUSE file systems say it. */
static void needs_no_hard_links(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    links_refused = EPERM;
    bool first = store_put(fixture->store, "once", "1", 1, STORE_IF_ABSENT, &err);
    struct error refusal = {0};
    bool second = store_put(fixture->store, "once", "2", 1, STORE_IF_ABSENT, &refusal);
    links_refused = 0;
    assert_ok(first, err);
    assert_false(second);
    assert_int_equal(refusal.code, ERR_STORE_EXISTS);
    assert_holds(fixture->store, "once", "1");
}

static bool visit_none(const char *key, const struct store_stat *stat, void *context) { return false; }

static void a_raised_flag_ends_everything(void **state) {
    struct error err;
    struct store_stat stat;
    atomic_bool cancel = false;
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_free_ char *url = xasprintf("file://%s/cancel", (const char *)*state);
    _cleanup_store_ struct store *store = store_open(url, &(struct store_options){.cancel = &cancel}, &err);
    assert_ok(store, err);
    assert_ok(store_put(store, "k", "abc", 3, 0, &err), err);
    struct store_writer *writer = store_writer_open(store, "w", 0, &err);
    assert_ok(writer, err);
    atomic_store(&cancel, true);
    assert_code(store_get(store, "k", 10, &out, &err), ERR_CANCELLED, err);
    assert_code(store_head(store, "k", &stat, &err), ERR_CANCELLED, err);
    assert_code(store_list(store, "", visit_none, NULL, &err), ERR_CANCELLED, err);
    assert_code(store_put(store, "k", "x", 1, 0, &err), ERR_CANCELLED, err);
    assert_code(store_writer_write(writer, "x", 1, &err), ERR_CANCELLED, err);
    assert_code(store_writer_commit(writer, 0, &err), ERR_CANCELLED, err);
    atomic_store(&cancel, false);
    assert_code(store_head(store, "w", &stat, &err), ERR_STORE_NOT_FOUND, err);
    assert_ok(store_get(store, "k", 10, &out, &err), err);
    assert_int_equal(out.length, 3);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        with_store(round_trip),
        with_store(ranges),
        with_store(limit),
        with_store(files),
        with_store(refuses_keys),
        with_store(objects_are_no_folders),
        with_store(follows_no_links),
        with_store(lists_in_byte_order),
        with_store(list_stops),
        with_store(writer),
        with_store(one_creator_wins),
        with_store(needs_no_hard_links),
        with_store(puts_survive_pruning),
        with_store(sweeps_old_leftovers),
        with_store(disk_full),
        cmocka_unit_test(refuses_urls),
        SCRATCH_TEST(a_raised_flag_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
