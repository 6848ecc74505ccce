/* Moves a job's files between the store and this machine: its sources before it runs, its targets after it. Which they
 * are was said before it began (work/files.h); whatever it left in its folder, nothing else is stored. Private to this
 * room. */
#pragma once

#include "store/input.h"
#include "work/work.h"

/* All is borrowed. */
struct transfer {
    struct store *store;
    struct cache *cache;
    const struct job_files *files;
    const char *folder;        /* the job's scratch folder */
    const atomic_bool *cancel; /* raised by another thread at any time */
    struct progress *progress;
    struct step_times *times; /* fetch and upload are added */
};

/* The sources, fetched. {0} holds nothing. */
struct fetched {
    struct job_file *inputs; /* in the order of the sources; the names are borrowed of these */
    size_t count;
    char **paths, **keys;      /* local, NULL where there is no file; in the store, NULL of one with a URI */
    struct cache_entry **held; /* NULL where it is a file in the job's folder */
};
/* The cache may evict what was held; the files in the folder stay. Safe on zeros. */
void fetched_release(struct fetched *fetched);
#define _cleanup_fetched_ _cleanup_(fetched_release)

/* Fetches all sources, several at a time: what a URI names into the cache, the rest into files of the folder.
 * `artifacts` are the keys of the artifacts that sources name by their job, in the order of these. *out comes as zeros,
 * and is the caller's to release whatever happens. The first failure stops all, between two files, as the cancel flag
 * does (`cancelled`): errors of the store and the cache, which name the URI and bear the source's label; io, disk.full;
 * internal when the system refuses a thread. */
bool transfer_fetch_sources(const struct transfer *transfer, const char *const *artifacts, struct fetched *out,
                            struct error *err) must_check;
/* Appends the artifact that the job left to `out`. Errors as of transfer_deliver_targets, store.too_large beyond
 * `limit` bytes. */
bool transfer_read_artifact(const struct transfer *transfer, size_t limit, struct buffer *out,
                            struct error *err) must_check;
/* Stores all targets in their order, each under its key, and sets "bytes" and "sha256" of the artifact in the report,
 * unless another one was there and was kept. A file that is missing, a link or no regular file is `internal`. Between
 * two files it looks at the cancel flag. Errors of the store, io. */
bool transfer_deliver_targets(const struct transfer *transfer, json_t *report, struct error *err) must_check;
