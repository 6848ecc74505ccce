/* A bounded local cache of objects, shared safely by processes on one machine. */
#pragma once

#include "store/store.h"

struct cache;

/* Keeps at most `limit` bytes below `directory`, which is made when missing. 0: half of what its volume has free now,
 * what the cache holds already counted as free, and at most 100 GiB. A limit that Kubernetes sets on a volume is not
 * seen: there the limit must be given. The files that were not used for longest
 * go first, those in use never. NULL with io or disk.full. */
struct cache *cache_open(const char *directory, int64_t limit, struct error *err) must_check;
void cache_close(struct cache *cache);
DEFINE_CLEANUP(struct cache *, cache_close)
#define _cleanup_cache_ _cleanup_(cache_close_cleanup)

/* A local path that holds the object as it is now in the store (checked by ETag, or size and time), fetched
 * if needed, once even when several processes ask together. Stays valid until cache_release; NULL on failure.
 * An object of a file:// store has its own path: nothing is copied. `sha256`, as hex, is compared with the bytes that
 * were fetched (store.hash_mismatch); NULL: not known. When the disk is full, entries that nobody uses give way;
 * disk.full when none is left. */
struct cache_entry;
struct cache_entry *cache_fetch(struct cache *cache, struct store *store, const char *key, const char *sha256,
                                struct error *err) must_check;
/* Borrowed, valid until release. */
const char *cache_entry_path(const struct cache_entry *entry);
/* The file may be evicted from now on. */
void cache_release(struct cache_entry *entry);
DEFINE_CLEANUP(struct cache_entry *, cache_release)
#define _cleanup_cache_entry_ _cleanup_(cache_release_cleanup)
