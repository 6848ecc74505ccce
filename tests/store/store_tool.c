/* Drives the store room from the command line for test_s3.py:
 *   store_tool URL COMMAND [ARGUMENT...]
 * Prints what came, or "code: message" on stderr with exit code 1. Retries wait at most 20 ms. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "store/http.h"
#include "store/input.h"
#include "store/s3_store.h"

struct arguments {
    struct store *store;
    int count;
    char **values;
};

static bool print(const struct buffer *bytes) {
    if (bytes->length > 0)
        fwrite(bytes->data, 1, bytes->length, stdout);
    return true;
}

static enum store_flags flags_of(const struct arguments *a, int index) {
    return a->count > index && strcmp(a->values[index], "absent") == 0 ? STORE_IF_ABSENT : 0;
}

static bool put(const struct arguments *a, struct error *err) {
    return store_put_file(a->store, a->values[0], a->values[1], flags_of(a, 2), err);
}

static bool get(const struct arguments *a, struct error *err) {
    _cleanup_buffer_ struct buffer out = {0};
    size_t limit = a->count > 1 ? (size_t)atoll(a->values[1]) : SIZE_MAX;
    return store_get(a->store, a->values[0], limit, &out, err) && print(&out);
}

static bool get_file(const struct arguments *a, struct error *err) {
    return store_get_file(a->store, a->values[0], a->values[1], err);
}

static bool range(const struct arguments *a, struct error *err) {
    _cleanup_buffer_ struct buffer out = {0};
    return store_get_range(a->store, a->values[0], atoll(a->values[1]), (size_t)atoll(a->values[2]), &out, err) &&
           print(&out);
}

static bool show(const char *key, const struct store_stat *stat, void *context) {
    printf("%s %lld %lld %s\n", key, (long long)stat->size, (long long)stat->modified_ms, stat->etag);
    return true;
}

static bool head(const struct arguments *a, struct error *err) {
    struct store_stat stat;
    return store_head(a->store, a->values[0], &stat, err) && show(a->values[0], &stat, NULL);
}

static bool check(const struct arguments *a, struct error *err) {
    struct store_stat stat;
    return input_check(a->store, a->values[0], &stat, err) && show(a->values[0], &stat, NULL);
}

static bool list(const struct arguments *a, struct error *err) {
    return store_list(a->store, a->count > 0 ? a->values[0] : "", show, NULL, err);
}

static bool delete(const struct arguments *a, struct error *err) { return store_delete(a->store, a->values[0], err); }

/* Writes a file piece by piece, then commits, or aborts with a third argument. */
static bool write_pieces(const struct arguments *a, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    if (!file_read(a->values[1], SIZE_MAX, &bytes, err))
        return false;
    _cleanup_store_writer_ struct store_writer *writer =
        store_writer_open(a->store, a->values[0], (int64_t)bytes.length, err);
    if (!writer)
        return false;
    enum { PIECE = 1000003 };
    for (size_t done = 0; done < bytes.length; done += PIECE)
        if (!store_writer_write(writer, bytes.data + done, MIN(bytes.length - done, (size_t)PIECE), err))
            return false;
    return a->count > 2 || store_writer_commit(steal(writer), 0, err);
}

/* Fetches an input URI into a cache, twice; prints the path. */
static bool fetch(const struct arguments *a, struct error *err) {
    _cleanup_cache_ struct cache *cache = cache_open(a->values[0], atoll(a->values[1]), err);
    _cleanup_cache_entry_ struct cache_entry *once = cache ? input_fetch(cache, a->store, a->values[2], err) : NULL;
    _cleanup_cache_entry_ struct cache_entry *again = once ? input_fetch(cache, a->store, a->values[2], err) : NULL;
    return again && strcmp(cache_entry_path(once), cache_entry_path(again)) == 0 &&
           printf("%s\n", cache_entry_path(once)) > 0;
}

static const struct {
    const char *name;
    int arguments;
    bool (*run)(const struct arguments *a, struct error *err);
} commands[] = {
    {"put", 2, put},     {"get", 1, get},   {"get-file", 2, get_file}, {"range", 3, range},        {"head", 1, head},
    {"check", 1, check}, {"list", 0, list}, {"delete", 1, delete},     {"write", 2, write_pieces}, {"fetch", 3, fetch}};

static bool run(int count, char **values, struct error *err) {
    _cleanup_store_ struct store *store = store_open(values[0], NULL, err);
    if (!store)
        return false;
    struct http_policy policy = http_policy_default;
    policy.base_ms = policy.limit_ms = 20;
    policy.connect_ms = 1000;
    policy.stall_seconds = 2;
    if (strncmp(values[0], "s3://", 5) == 0)
        s3_policy_set(store, &policy);
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        if (strcmp(values[1], commands[i].name) != 0 || count - 2 < commands[i].arguments)
            continue;
        bool ok = commands[i].run(&(struct arguments){store, count - 2, values + 2}, err);
        struct store_totals totals;
        store_totals_get(store, &totals);
        fprintf(stderr, "totals: requests %lld, retries %lld, read %lld, written %lld\n", (long long)totals.requests,
                (long long)totals.retries, (long long)totals.bytes_read, (long long)totals.bytes_written);
        return ok;
    }
    return error_set(err, ERR_USAGE, "unknown command or too few arguments");
}

int main(int count, char **values) {
    process_begin();
    http_process_begin();
    struct error err = {0};
    if (count >= 3 && run(count - 1, values + 1, &err))
        return 0;
    fprintf(stderr, "%s: %s\n", error_name(err.code), err.message);
    return 1;
}
