/* Rings between threads, files and child processes. */
#include "directory_fixture.h"
#include "disk_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/digest.h"
#include "base/ring.h"
#include "base/thread.h"

enum { ITEMS = 20000, PRODUCERS = 3 };

struct producer {
    struct ring *ring;
    char *first; /* pushes first[0] to first[ITEMS - 1], as addresses */
    bool ok;
};

static void *produce(void *context) {
    struct producer *producer = context;
    producer->ok = true;
    for (int i = 0; i < ITEMS; i++)
        producer->ok &= ring_push(producer->ring, producer->first + i);
    return NULL;
}

static void ring_between_threads(void **state) {
    _cleanup_ring_ struct ring *ring = ring_new(4);
    _cleanup_free_ char *all = xcalloc(PRODUCERS, ITEMS);
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    char *last[PRODUCERS] = {0};
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){ring, all + i * ITEMS, false};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < PRODUCERS * ITEMS; i++) {
        char *item = ring_pop(ring);
        assert_non_null(item);
        char **before = &last[(item - all) / ITEMS];
        assert_true(!*before || item == *before + 1); /* nothing lost, each producer's in order */
        *before = item;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(producers[i].ok);
    }
    ring_close(ring);
    assert_null(ring_pop(ring));
}

static void ring_close_keeps_items(void **state) {
    _cleanup_ring_ struct ring *ring = ring_new(2);
    int a, b;
    assert_true(ring_push(ring, &a) && ring_push(ring, &b));
    ring_close(ring);
    assert_false(ring_push(ring, &a));
    assert_ptr_equal(ring_pop(ring), &a);
    assert_ptr_equal(ring_pop(ring), &b);
    assert_null(ring_pop(ring));
}

static void *pop_one(void *ring) { return ring_pop(ring); }

static void *push_one(void *ring) { return ring_push(ring, ring) ? ring : NULL; }

static void ring_abort_wakes_both_sides(void **state) {
    _cleanup_ring_ struct ring *empty = ring_new(1), *full = ring_new(1);
    int item;
    assert_true(ring_push(full, &item));
    pthread_t consumer, producer;
    assert_int_equal(pthread_create(&consumer, NULL, pop_one, empty), 0);
    assert_int_equal(pthread_create(&producer, NULL, push_one, full), 0);
    ring_abort(empty);
    ring_abort(full);
    void *popped, *pushed;
    pthread_join(consumer, &popped);
    pthread_join(producer, &pushed);
    assert_null(popped);
    assert_null(pushed);
    assert_null(ring_pop(full));
    assert_ptr_equal(ring_drain(full), &item);
    assert_null(ring_drain(full));
}

static void *pop_and_name(void *ring) {
    char *name = xcalloc(1, 16);
    ring_pop(ring); /* the thread has its name before anything is pushed */
    pthread_getname_np(pthread_self(), name, 16);
    return name;
}

static void thread_has_a_name(void **state) {
    struct error err;
    _cleanup_ring_ struct ring *ring = ring_new(1);
    pthread_t thread;
    assert_ok(thread_start(&thread, "a name of more than 15 letters", pop_and_name, ring, &err), err);
    assert_true(ring_push(ring, &thread));
    void *name;
    pthread_join(thread, &name);
    assert_string_equal(name, "a name of more ");
    free(name);
}

/* A stack that no address space holds is refused as a thread over the limit is. */
static void thread_refused_is_an_error(void **state) {
    struct error err;
    pthread_attr_t usual, huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    pthread_t thread;
    assert_code(thread_start(&thread, "refused", pop_one, NULL, &err), ERR_INTERNAL, err);
    assert_non_null(strstr(err.message, "refused"));
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&usual);
}

static void files(void **state) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/a/b/file", (char *)*state), *folder = xasprintf("%s/a/b", (char *)*state);
    assert_code(file_write_atomic(path, "x", 1, 0600, &err), ERR_IO, err);
    assert_ok(directory_make(folder, &err), err);
    assert_ok(directory_make(folder, &err), err);
    assert_ok(file_write_atomic(path, "first", 5, 0600, &err), err);
    assert_ok(file_write_atomic(path, "second", 6, 0640, &err), err);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    _cleanup_buffer_ struct buffer out = {0};
    assert_code(file_read(path, 5, &out, &err), ERR_STORE_TOO_LARGE, err);
    buffer_clear(&out);
    assert_ok(file_read(path, 6, &out, &err), err);
    assert_string_equal(out.data, "second");
    char hex[SHA256_HEX + 1];
    int64_t bytes;
    assert_ok(sha256_file(path, hex, &bytes, &err), err);
    assert_int_equal(bytes, 6);
    assert_string_equal(hex, "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4");
    assert_code(file_read(folder, 10, &out, &err), ERR_IO, err);
    assert_code(file_read("/nonexistent", 10, &out, &err), ERR_IO, err);
    assert_code(directory_make(path, &err) && directory_make("/dev/null/x", &err), ERR_IO, err);
}

/* A power cut after the call must not bring the old file back. */
static void a_written_name_is_synced(void **state) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/f", (const char *)*state);
    disk_reset();
    assert_ok(file_write_atomic(path, "x", 1, 0600, &err), err);
    assert_string_equal(disk.done, "frd");
    _cleanup_free_ char *missing = xasprintf("%s/none", (const char *)*state);
    assert_code(file_rename(missing, path, &err), ERR_IO, err);
}

static void tree_remove_follows_no_links(void **state) {
    struct error err;
    _cleanup_free_ char *keep = xasprintf("%s/keep", (char *)*state), *tree = xasprintf("%s/tree/deep", (char *)*state);
    _cleanup_free_ char *link = xasprintf("%s/link", tree), *top = xasprintf("%s/tree", (char *)*state);
    assert_ok(directory_make(keep, &err) && directory_make(tree, &err), err);
    assert_int_equal(symlink(keep, link), 0);
    tree_remove(top);
    tree_remove(top);
    assert_int_equal(access(top, F_OK), -1);
    assert_int_equal(access(keep, F_OK), 0);
}

static void child_runs(void **state) {
    struct error err;
    _cleanup_free_ char *log = xasprintf("%s/log", (char *)*state);
    const char *const argv[] = {"sh", "-c", "echo out; echo err >&2; cat; exit 3", NULL};
    pid_t pid = child_start(argv, &(struct child_options){.log_path = log}, &err);
    assert_ok(pid > 0, err);
    int status = 0;
    assert_true(child_wait(pid, -1, &status));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    _cleanup_buffer_ struct buffer out = {0};
    assert_ok(file_read(log, 100, &out, &err), err);
    assert_string_equal(out.data, "out\nerr\n");
}

static void child_that_does_not_start(void **state) {
    const struct child_options nowhere = {.log_path = "/nonexistent/log"};
    struct error err;
    assert_code(child_start((const char *const[]){"/nonexistent/program", NULL}, NULL, &err) > 0, ERR_CHILD_FAILED,
                err);
    assert_non_null(strstr(err.message, "/nonexistent/program"));
    assert_code(child_start((const char *const[]){"true", NULL}, &nowhere, &err) > 0, ERR_IO, err);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left to reap */
}

static void child_stops(void **state) {
    struct error err;
    int status;
    pid_t gentle = child_start((const char *const[]){"sleep", "60", NULL}, NULL, &err);
    assert_ok(gentle > 0, err);
    assert_false(child_wait(gentle, 0, &status));
    status = child_stop(gentle, 10000);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    _cleanup_free_ char *script =
        xasprintf("trap '' TERM; echo >&%d; exec %d>&-; while :; do sleep 1; done", ready[1], ready[1]);
    const struct child_options options = {.keep = &ready[1], .keep_count = 1};
    pid_t deaf = child_start((const char *const[]){"sh", "-c", script, NULL}, &options, &err);
    assert_ok(deaf > 0, err);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1); /* the trap is set */
    status = child_stop(deaf, 50);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ready[0]);
    close(ready[1]);
}

/* What the child said on its stdout. The caller frees it. */
static char *child_output(const char *directory, const char *const *argv, struct child_options options) {
    struct error err;
    int status = -1;
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_free_ char *log = xasprintf("%s/log", directory);
    unlink(log);
    options.log_path = log;
    pid_t pid = child_start(argv, &options, &err);
    assert_ok(pid > 0, err);
    assert_true(child_wait(pid, -1, &status));
    assert_int_equal(status, 0);
    assert_ok(file_read(log, 1 << 16, &out, &err), err);
    return out.data ? buffer_steal(&out) : xstrdup("");
}

/* hiredis and libcurl open sockets that live through an exec. */
static void child_gets_no_descriptor_but_those_kept(void **state) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
    _cleanup_free_ char *script =
        xasprintf("for fd in %d %d; do test -e /proc/self/fd/$fd && echo $fd; done; :", ends[0], ends[1]);
    const char *const argv[] = {"sh", "-c", script, NULL};
    _cleanup_free_ char *none = child_output(*state, argv, (struct child_options){0});
    assert_string_equal(none, "");
    _cleanup_free_ char *kept = child_output(*state, argv, (struct child_options){.keep = ends, .keep_count = 1});
    _cleanup_free_ char *wanted = xasprintf("%d\n", ends[0]);
    assert_string_equal(kept, wanted);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC); /* the parent's own is as it was */
    close(ends[0]);
    close(ends[1]);
}

static void child_gets_the_environment_that_is_given(void **state) {
    const char *const environment[] = {"ONLY=this", NULL};
    assert_int_equal(setenv("MELA_TEST_SECRET", "secret", true), 0);
    _cleanup_free_ char *given =
        child_output(*state, (const char *const[]){"env", NULL}, (struct child_options){.environment = environment});
    assert_string_equal(given, "ONLY=this\n");
    _cleanup_free_ char *inherited =
        child_output(*state, (const char *const[]){"env", NULL}, (struct child_options){0});
    assert_non_null(strstr(inherited, "MELA_TEST_SECRET=secret\n"));
    unsetenv("MELA_TEST_SECRET");
}

/* A process in between starts the child and ends; the child, which heeds no SIGTERM, goes by the signal asked for. */
static void child_dies_by_its_death_signal(void **state) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t between = fork();
    assert_true(between >= 0);
    if (between == 0) {
        struct error err;
        _cleanup_free_ char *script = xasprintf("trap '' TERM; echo >&%d; while :; do sleep 1; done", ends[1]);
        const struct child_options options = {.keep = &ends[1], .keep_count = 1, .death_signal = SIGKILL};
        char byte;
        pid_t pid = child_start((const char *const[]){"sh", "-c", script, NULL}, &options, &err);
        _exit(pid > 0 && read(ends[0], &byte, 1) == 1 ? 0 : 1);
    }
    int status;
    char byte;
    close(ends[1]);
    assert_int_equal(waitpid(between, &status, 0), between);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody holds the other end any more */
    close(ends[0]);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, directory_setup, directory_teardown)

static void *run_until_told(void *out) {
    while (!atomic_load((atomic_bool *)out))
        sched_yield();
    return NULL;
}

/* A process that may have no further thread is told so. In a child, since the limit stays. */
static void a_refused_thread_is_an_error(void **state) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer itself ends a process that gets no memory for a thread */
#endif
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error err = {0};
        pthread_t thread;
        atomic_bool stop = false;
        struct rlimit none = {1 << 16, 1 << 16}; /* bytes of address space: no room for a stack */
        bool limited = setrlimit(RLIMIT_AS, &none) == 0, started = true;
        for (int i = 0; i < 100 && started; i++) /* the first ones get stacks that earlier threads left */
            started = thread_start(&thread, "mela-test", run_until_told, &stop, &err);
        _exit(limited && !started && err.code == ERR_INTERNAL && strstr(err.message, "mela-test") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_thread_is_an_error),
        cmocka_unit_test(ring_between_threads),
        cmocka_unit_test(ring_close_keeps_items),
        cmocka_unit_test(ring_abort_wakes_both_sides),
        cmocka_unit_test(thread_has_a_name),
        cmocka_unit_test(thread_refused_is_an_error),
        in_directory(files),
        in_directory(a_written_name_is_synced),
        in_directory(tree_remove_follows_no_links),
        in_directory(child_runs),
        cmocka_unit_test(child_that_does_not_start),
        cmocka_unit_test(child_stops),
        in_directory(child_gets_no_descriptor_but_those_kept),
        in_directory(child_gets_the_environment_that_is_given),
        cmocka_unit_test(child_dies_by_its_death_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
