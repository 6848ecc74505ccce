/* What a kind of store implements; store.c does the rest on top. Internal to the room. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store/cancel.h"
#include "store/sink.h"
#include "store/types.h"

struct store;
struct store_writer;

/* Keys have been checked when they come here. Each function may be called by several threads at once, those with a
 * writer by one thread at a time. */
struct store_operations {
    void (*close)(struct store *store);
    /* Bytes from `offset`, at most `length` (-1: all) into the sink, each byte once whatever is retried
     * inside. With an etag not NULL, fails with store.unavailable when the object is another one by now. */
    bool (*get)(struct store *store, const char *key, int64_t offset, int64_t length, const char *etag,
                const struct sink *sink, struct error *err);
    bool (*head)(struct store *store, const char *key, struct store_stat *stat, struct error *err);
    /* A missing key is success. */
    bool (*delete)(struct store *store, const char *key, struct error *err);
    /* As store_list. */
    bool (*list)(struct store *store, const char *prefix,
                 bool (*visit)(const char *key, const struct store_stat *stat, void *context), void *context,
                 struct error *err);
    /* A path to the object itself, or NULL where it has none; caller frees. */
    char *(*local_path)(struct store *store, const char *key);
    /* store.c sets the writer's `store` and `key` before it calls anything else. */
    struct store_writer *(*writer_open)(struct store *store, const char *key, int64_t size, struct error *err);
    bool (*write)(struct store_writer *writer, const void *data, size_t length, struct error *err);
    /* Makes the object visible; on success and on failure alike `writer_free` comes next. */
    bool (*commit)(struct store_writer *writer, enum store_flags flags, struct error *err);
    /* Removes what was not committed and frees. */
    void (*writer_free)(struct store_writer *writer);
};

/* So many stay open; more only while they are in use. A spec names few buckets, and an open one costs some memory. */
enum { SIBLINGS_MAX = 12 };

/* The s3:// stores of other buckets that were opened through a store; see store_sibling. */
struct siblings {
    /* Guards what follows, and each sibling's `next` and `users`. Nothing that waits is called while it is held. */
    pthread_mutex_t lock;
    struct store *first;  /* the one used last */
    struct s3_link *link; /* theirs, where the store itself has none; NULL: not yet */
};

/* First member of every kind's own struct. */
struct store {
    const struct store_operations *operations;
    char *url;                 /* without a slash at the end */
    const atomic_bool *cancel; /* of store_options; NULL: never raised */
    /* Sums for metrics, from any thread. Nothing is decided by them and no other memory hangs on them, so that each
     * need only be exact by itself: any order would do. */
    _Atomic int64_t bytes_read, bytes_written, requests, retries;
    struct siblings siblings;
    /* Of a sibling; guarded by its parent's siblings.lock. */
    struct store *parent; /* NULL: no sibling; set before others see the store */
    struct store *next;
    int users; /* store_sibling without store_release so far */
};

/* First member of every kind's own writer. */
struct store_writer {
    struct store *store;
    char *key;
};
