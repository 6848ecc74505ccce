/* What a worker fetches for a job and stores after it, with a store and a cache in a temporary directory. */
#include "directory_fixture.h"
#include "thread_fixture.h"

#include <sys/stat.h>

#include "store/store.h"
#include "worker/transfer.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

struct fixture {
    char *directory, *folder;
    struct store *store;
    struct cache *cache;
    struct job_files files;
    atomic_bool cancel;
    struct progress progress;
    struct step_times times;
    struct transfer transfer;
    json_t *report;
};

static int transfer_setup(void **state) {
    struct error err;
    struct fixture *fixture = xnew(struct fixture);
    *state = fixture;
    fixture->directory = directory_for_test();
    fixture->folder = xasprintf("%s/job", fixture->directory);
    _cleanup_free_ char *url = xasprintf("file://%s/store", fixture->directory);
    _cleanup_free_ char *cache = xasprintf("%s/cache", fixture->directory);
    assert_ok(directory_make(fixture->folder, &err), err);
    fixture->store = store_open(url, NULL, &err);
    assert_ok(fixture->store, err);
    fixture->cache = cache_open(cache, 1 << 30, &err);
    assert_ok(fixture->cache, err);
    fixture->report = json_object();
    fixture->transfer = (struct transfer){.store = fixture->store,
                                          .cache = fixture->cache,
                                          .files = &fixture->files,
                                          .folder = fixture->folder,
                                          .cancel = &fixture->cancel,
                                          .progress = &fixture->progress,
                                          .times = &fixture->times};
    return 0;
}

static int transfer_teardown(void **state) {
    struct fixture *fixture = *state;
    job_files_clear(&fixture->files);
    json_decref(fixture->report);
    cache_close(fixture->cache);
    store_close(fixture->store);
    tree_remove(fixture->directory);
    free(fixture->folder);
    free(fixture->directory);
    free(fixture);
    return 0;
}

#define TRANSFER_TEST(function) cmocka_unit_test_setup_teardown(function, transfer_setup, transfer_teardown)

/* ---- what is there ---- */

static void put(struct fixture *fixture, const char *key, const char *text) {
    struct error err;
    assert_ok(store_put(fixture->store, key, text, strlen(text), 0, &err), err);
}

static void assert_stored(struct fixture *fixture, const char *key, const char *text) {
    struct error err;
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_ok(store_get(fixture->store, key, 1 << 20, &bytes, &err), err);
    assert_string_equal(bytes.data, text);
}

static void assert_not_stored(struct fixture *fixture, const char *key) {
    struct error err;
    struct store_stat stat;
    assert_code(store_head(fixture->store, key, &stat, &err), ERR_STORE_NOT_FOUND, err);
}

static char *left(const struct fixture *fixture, const char *name) { return xasprintf("%s/%s", fixture->folder, name); }

/* What a job does: it leaves a file in its folder. */
static void leave(struct fixture *fixture, const char *name, const char *text) {
    struct error err;
    _cleanup_free_ char *path = left(fixture, name);
    assert_ok(file_write_atomic(path, text, strlen(text), 0644, &err), err);
}

static void assert_input(const struct fetched *fetched, size_t i, const char *name, const char *text) {
    struct error err;
    _cleanup_buffer_ struct buffer bytes = {0};
    assert_string_equal(fetched->inputs[i].name, name);
    assert_ok(file_read(fetched->inputs[i].path, 1 << 20, &bytes, &err), err);
    assert_string_equal(bytes.data, text);
}

/* ---- what is to be moved ---- */

static struct job_source *add_source(struct fixture *fixture, const char *name) {
    return job_files_add_source(&fixture->files, xstrdup(name));
}

static struct job_target *add_target(struct fixture *fixture, const char *name, const char *key) {
    struct job_target *target = job_files_add_target(&fixture->files, xstrdup(name));
    target->key = xstrdup(key);
    return target;
}

static void add_part(struct fixture *fixture, const char *name) {
    struct job_source *part = add_source(fixture, name);
    part->job = xasprintf("c/hi/dub/%s", name);
    part->is_counted = true;
}

/* ---- fetch ---- */

static void every_source_becomes_a_local_file(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    put(fixture, "files/" HEX, "the master");
    put(fixture, "speech.pcm", "0123456789");
    put(fixture, "track.1-0.trk", "a track");
    job_files_add_uri(&fixture->files, "video", "sha256:" HEX);
    add_source(fixture, "track")->job = xstrdup("c/track/0000");
    struct job_source *speech = add_source(fixture, "speech"), *all;
    speech->key = xstrdup("speech.pcm");
    speech->first = 2;
    speech->length = 5;
    all = add_source(fixture, "all");
    all->key = xstrdup("speech.pcm");
    _cleanup_fetched_ struct fetched fetched = {0};
    const char *const artifacts[] = {"track.1-0.trk"};
    assert_ok(transfer_fetch_sources(&fixture->transfer, artifacts, &fetched, &err), err);
    assert_int_equal(fetched.count, 4);
    assert_input(&fetched, 0, "video", "the master");
    assert_input(&fetched, 1, "track", "a track");
    assert_input(&fetched, 2, "speech", "23456");
    assert_input(&fetched, 3, "all", "0123456789");
    assert_non_null(fetched.held[0]);
    assert_null(fetched.held[1]);
    assert_true(atomic_load(&fixture->times.ns[STEP_FETCH]) > 0);
    assert_int_equal(atomic_load(&fixture->progress.of), 0); /* a job that counts frames begins at none */
    assert_int_equal(atomic_load(&fixture->progress.frames), 0);
}

static void a_range_may_end_with_the_object(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    put(fixture, "speech.pcm", "0123456789");
    struct job_source *speech = add_source(fixture, "speech");
    speech->key = xstrdup("speech.pcm");
    speech->first = 8;
    speech->length = 100;
    _cleanup_fetched_ struct fetched fetched = {0};
    assert_ok(transfer_fetch_sources(&fixture->transfer, NULL, &fetched, &err), err);
    assert_input(&fetched, 0, "speech", "89");
}

static void many_parts_are_counted_and_keep_their_order(void **state) {
    enum { PARTS = 300 };
    struct fixture *fixture = *state;
    struct error err;
    char names[PARTS][8];
    const char *keys[PARTS];
    for (int i = 0; i < PARTS; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        keys[i] = names[i];
        put(fixture, names[i], names[i]);
        add_part(fixture, names[i]);
    }
    _cleanup_fetched_ struct fetched fetched = {0};
    assert_ok(transfer_fetch_sources(&fixture->transfer, keys, &fetched, &err), err);
    for (size_t i = 0; i < PARTS; i++)
        assert_input(&fetched, i, names[i], names[i]);
    assert_int_equal(atomic_load(&fixture->progress.frames), PARTS);
    assert_int_equal(atomic_load(&fixture->progress.of), PARTS);
}

static void a_job_without_sources_fetches_nothing(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    _cleanup_fetched_ struct fetched fetched = {0};
    assert_ok(transfer_fetch_sources(&fixture->transfer, NULL, &fetched, &err), err);
    assert_int_equal(fetched.count, 0);
}

static bool fetch(struct fixture *fixture, const char *artifact, struct error *err) {
    _cleanup_fetched_ struct fetched fetched = {0};
    return transfer_fetch_sources(&fixture->transfer, &artifact, &fetched, err);
}

static void what_is_missing_is_named(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    add_part(fixture, "part-0000");
    assert_error(fetch(fixture, "gone.mp4", &err), ERR_STORE_NOT_FOUND, "gone.mp4", err);
    job_files_clear(&fixture->files);
    job_files_add_uri(&fixture->files, "video", "sha256:" HEX);
    assert_error(fetch(fixture, NULL, &err), ERR_STORE_NOT_FOUND, "sha256:" HEX, err);
    fixture->files.sources[0].label = xstrdup("speech of hi");
    assert_error(fetch(fixture, NULL, &err), ERR_STORE_NOT_FOUND, "speech of hi: sha256:" HEX ": ", err);
}

static void a_cancelled_job_fetches_nothing(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    put(fixture, "part", "x");
    add_part(fixture, "part-0000");
    atomic_store(&fixture->cancel, true);
    assert_error(fetch(fixture, "part", &err), ERR_CANCELLED, "told to stop", err);
    assert_int_equal(atomic_load(&fixture->progress.frames), 0);
}

static bool fetch_without_threads(struct fixture *fixture, const char *artifact, struct error *err) {
    pthread_attr_t usual = threads_refuse();
    bool fetched = fetch(fixture, artifact, err);
    threads_allow(usual);
    return fetched;
}

static void a_refused_thread_ends_a_fetch(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    put(fixture, "part", "x");
    add_part(fixture, "part-0000");
    assert_error(fetch_without_threads(fixture, "part", &err), ERR_INTERNAL, "\"fetch\"", err);
}

/* ---- deliver ---- */

static void targets_are_stored_and_the_artifact_is_reported(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    add_target(fixture, "speech-hi.pcm", "c/hi/speech.pcm");
    add_target(fixture, "plan.json", "c/plan.json")->is_artifact = true;
    leave(fixture, "speech-hi.pcm", "sound");
    leave(fixture, "plan.json", "abc");
    leave(fixture, "other", "is nobody's");
    assert_ok(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), err);
    assert_stored(fixture, "c/hi/speech.pcm", "sound");
    assert_stored(fixture, "c/plan.json", "abc");
    _cleanup_json_ json_t *wanted = json_pack("{s:i,s:s}", "bytes", 3, "sha256", ABC_SHA256);
    assert_true(json_equal(fixture->report, wanted));
    assert_int_equal(atomic_load(&fixture->progress.step), STEP_UPLOAD);
    assert_true(atomic_load(&fixture->times.ns[STEP_UPLOAD]) > 0);
}

static void what_is_stored_once_is_kept(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    put(fixture, "c/hi/speech.pcm", "earlier");
    put(fixture, "c/plan.json", "an earlier plan");
    add_target(fixture, "speech-hi.pcm", "c/hi/speech.pcm")->once = true;
    struct job_target *plan = add_target(fixture, "plan.json", "c/plan.json");
    plan->once = plan->is_artifact = true;
    leave(fixture, "speech-hi.pcm", "later");
    leave(fixture, "plan.json", "abc");
    assert_ok(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), err);
    assert_stored(fixture, "c/hi/speech.pcm", "earlier");
    assert_stored(fixture, "c/plan.json", "an earlier plan");
    assert_int_equal(json_object_size(fixture->report), 0); /* it would tell of bytes that are not there */
    plan->once = false;
    assert_ok(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), err);
    assert_stored(fixture, "c/plan.json", "abc");
}

/* A job that was taken over by what it read may leave a link to what it cannot read, and the worker can. */
static void only_regular_files_are_stored(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    add_target(fixture, "segment.mp4", "c/segment.mp4")->is_artifact = true;
    _cleanup_free_ char *path = left(fixture, "segment.mp4"), *secret = left(fixture, "secret");
    assert_error(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), ERR_INTERNAL,
                 "left no segment.mp4", err);
    leave(fixture, "secret", "secret");
    assert_int_equal(symlink(secret, path), 0);
    assert_error(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), ERR_INTERNAL,
                 "left no segment.mp4", err);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_error(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), ERR_INTERNAL, "no regular file",
                 err);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will ever write there */
    assert_error(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), ERR_INTERNAL, "no regular file",
                 err);
    assert_not_stored(fixture, "c/segment.mp4");
    assert_int_equal(json_object_size(fixture->report), 0);
}

/* What is done when it is told to stop is still stored; what has more to store stops between two files. */
static void a_cancelled_job_stores_one_file_at_most(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    add_target(fixture, "speech-hi.pcm", "c/hi/speech.pcm");
    leave(fixture, "speech-hi.pcm", "sound");
    leave(fixture, "plan.json", "abc");
    atomic_store(&fixture->cancel, true);
    assert_ok(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), err);
    add_target(fixture, "plan.json", "c/plan.json")->is_artifact = true;
    assert_error(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), ERR_CANCELLED, "told to stop",
                 err);
    assert_stored(fixture, "c/hi/speech.pcm", "sound");
    assert_not_stored(fixture, "c/plan.json");
}

static void a_store_that_fails_ends_a_delivery(void **state) {
    struct fixture *fixture = *state;
    struct error err;
    put(fixture, "c", "a file where the folder would be");
    add_target(fixture, "plan.json", "c/plan.json")->once = true;
    leave(fixture, "plan.json", "abc");
    assert_code(transfer_deliver_targets(&fixture->transfer, fixture->report, &err), ERR_STORE_INVALID_KEY, err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TRANSFER_TEST(every_source_becomes_a_local_file),
        TRANSFER_TEST(a_range_may_end_with_the_object),
        TRANSFER_TEST(many_parts_are_counted_and_keep_their_order),
        TRANSFER_TEST(a_job_without_sources_fetches_nothing),
        TRANSFER_TEST(what_is_missing_is_named),
        TRANSFER_TEST(a_cancelled_job_fetches_nothing),
        TRANSFER_TEST(a_refused_thread_ends_a_fetch),
        TRANSFER_TEST(targets_are_stored_and_the_artifact_is_reported),
        TRANSFER_TEST(what_is_stored_once_is_kept),
        TRANSFER_TEST(only_regular_files_are_stored),
        TRANSFER_TEST(a_cancelled_job_stores_one_file_at_most),
        TRANSFER_TEST(a_store_that_fails_ends_a_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
