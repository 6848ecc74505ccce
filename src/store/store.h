/* store: objects by key, in a folder or in S3, behind one interface.
 *
 * It promises: an object appears whole or not at all; a key cannot leave the root; a conditional create has
 * exactly one winner; transient trouble is retried inside with jitter, and what comes out is typed
 * (store.not_found, store.denied, store.exists, store.unavailable, disk.full ...). A struct store may be used
 * by several threads at once. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "store/types.h"

struct store;

/* `url` is file:///absolute/folder (made when missing) or s3://bucket[/prefix]. `options` is copied; NULL: all from the
 * environment. No server is asked yet. NULL with store.invalid_url, store.invalid_key for the prefix, or io. */
struct store *store_open(const char *url, const struct store_options *options, struct error *err) must_check;
void store_close(struct store *store);
DEFINE_CLEANUP(struct store *, store_close)
#define _cleanup_store_ _cleanup_(store_close_cleanup)
/* The store of another bucket, with the endpoint, the credentials and the connections of this one; the caller gives it
 * back with store_release, before `store` is closed. A dozen are kept open for the next time. NULL with
 * store.invalid_url. */
struct store *store_sibling(struct store *store, const char *bucket, struct error *err) must_check;
void store_release(struct store *store);
DEFINE_CLEANUP(struct store *, store_release)
#define _cleanup_release_ _cleanup_(store_release_cleanup)

/* The whole object, appended to `out`, which keeps its length on failure; store.not_found, store.too_large beyond
 * `limit` bytes. */
bool store_get(struct store *store, const char *key, size_t limit, struct buffer *out, struct error *err) must_check;
/* Bytes [offset, offset + length), fewer at the object's end. */
bool store_get_range(struct store *store, const char *key, int64_t offset, size_t length, struct buffer *out,
                     struct error *err) must_check;
/* Bytes [offset, offset + length), fewer at the object's end, as they arrive: in order, each once. `take` returns false
 * with *err to end it. It may take its time; the store's connection waits. */
bool store_stream(struct store *store, const char *key, int64_t offset, int64_t length,
                  bool (*take)(void *context, const void *data, size_t length, struct error *err), void *context,
                  struct error *err) must_check;
/* Into a local file that appears whole or not at all, synced to the disk. */
bool store_get_file(struct store *store, const char *key, const char *path, struct error *err) must_check;
/* Writes an object whole; store.exists with STORE_IF_ABSENT when there is one of this key. */
bool store_put(struct store *store, const char *key, const void *data, size_t length, enum store_flags flags,
               struct error *err) must_check;
/* Streams a local file. */
bool store_put_file(struct store *store, const char *key, const char *path, enum store_flags flags,
                    struct error *err) must_check;
/* Size, time and ETag; store.not_found. */
bool store_head(struct store *store, const char *key, struct store_stat *stat, struct error *err) must_check;
/* A missing key is success. */
bool store_delete(struct store *store, const char *key, struct error *err) must_check;
/* Calls `visit` for every key with the prefix, ascending, until it returns false. */
bool store_list(struct store *store, const char *prefix,
                bool (*visit)(const char *key, const struct store_stat *stat, void *context), void *context,
                struct error *err) must_check;

/* An object written piece by piece, by one thread at a time. Commit, whether it succeeds or not, and abort end and free
 * the writer; nothing is visible before commit. After a failed write only abort is left to call. `size`: how many bytes
 * will come; to S3 up to 16 MiB are one PUT, and more are sent in parts of 5 MiB or a 10,000th, four of which are held
 * in memory. If more come than were announced, store.too_large beyond 10,000 parts. */
struct store_writer;
struct store_writer *store_writer_open(struct store *store, const char *key, int64_t size,
                                       struct error *err) must_check;
bool store_writer_write(struct store_writer *writer, const void *data, size_t length, struct error *err) must_check;
bool store_writer_commit(struct store_writer *writer, enum store_flags flags, struct error *err) must_check;
void store_writer_abort(struct store_writer *writer);
DEFINE_CLEANUP(struct store_writer *, store_writer_abort)
#define _cleanup_store_writer_ _cleanup_(store_writer_abort_cleanup)

/* Sums since the store was opened, its siblings' among them; for metrics. */
struct store_totals {
    int64_t bytes_read, bytes_written, requests, retries;
};
void store_totals_get(struct store *store, struct store_totals *out);
/* The totals as rows of GET /metrics. */
void store_metrics(struct store *store, struct buffer *out);
