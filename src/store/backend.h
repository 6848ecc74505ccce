/* What a kind of store implements; store.c does the rest on top. Internal to the room. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"

/* Takes an object's bytes as they arrive; false with *err set stops the transfer for good. */
struct sink {
    bool (*take)(void *context, const void *data, size_t length, struct error *err);
    void *context;
};

struct store_operations {
    void (*close)(struct store *store);
    /* Bytes from `offset`, at most `length` (-1: all) into the sink, each byte once whatever is retried
     * inside. With an etag not NULL, fails with store.unavailable when the object is another one by now. */
    bool (*get)(struct store *store, const char *key, int64_t offset, int64_t length, const char *etag,
                const struct sink *sink, struct error *err);
    bool (*head)(struct store *store, const char *key, struct store_stat *stat, struct error *err);
    bool (*delete)(struct store *store, const char *key, struct error *err);
    bool (*list)(struct store *store, const char *prefix,
                 bool (*visit)(const char *key, const struct store_stat *stat, void *context), void *context,
                 struct error *err);
    char *(*presign)(struct store *store, const char *method, const char *key, int seconds, struct error *err);
    /* A path to the object itself, or NULL where it has none; caller frees. */
    char *(*local_path)(struct store *store, const char *key);
    /* Sets writer->store and ->key are store.c's work. */
    struct store_writer *(*writer_open)(struct store *store, const char *key, struct error *err);
    bool (*write)(struct store_writer *writer, const void *data, size_t length, struct error *err);
    /* Publishes; on success and on failure alike `writer_free` comes next. */
    bool (*commit)(struct store_writer *writer, enum store_flags flags, struct error *err);
    /* Takes back what was not committed and frees. */
    void (*writer_free)(struct store_writer *writer);
};

/* First member of every kind's own struct. */
struct store {
    const struct store_operations *operations;
    char *url; /* without a slash at the end */
    _Atomic int64_t bytes_read, bytes_written, requests, retries;
    pthread_mutex_t siblings_lock;
    struct store *siblings; /* s3:// stores of other buckets opened through this one; see store_sibling */
    struct store *next;
};

/* First member of every kind's own writer. */
struct store_writer {
    struct store *store;
    char *key;
};

struct store *file_store_open(const char *root, struct error *err) must_check;
struct store *s3_store_open(const char *bucket, const char *prefix, const struct store_options *options,
                            struct error *err) must_check;

/* The store of another bucket with the same endpoint and credentials; lives as long as `store`. */
struct store *store_sibling(struct store *store, const char *bucket, struct error *err) must_check;
/* What `store` was opened with, for its siblings; fields are borrowed. All NULL for file://. */
struct store_options s3_store_options(const struct store *store);

/* The store that a spec's URI points into (borrowed from `farm`) and the key there, which the caller frees; false with
 * store.invalid_url, and a NULL key, for anything else. */
bool input_locate(struct store *farm, const char *uri, struct store **store, char **key, struct error *err) must_check;

/* 1 to 1024 bytes, components without "", ".", ".." and control characters, not below ".tmp", which is the
 * file store's own; store.invalid_key otherwise. */
bool key_check(const char *key, struct error *err) must_check;
bool key_is_valid(const char *key);

/* A sink that writes to a descriptor; `*context` is the descriptor. */
bool sink_to_descriptor(void *context, const void *data, size_t length, struct error *err);
