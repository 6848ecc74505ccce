/* Where a spec's URI points: s3://bucket/key in any bucket the credentials reach, or sha256:<hex>, an
 * uploaded file in the farm's own store. */
#pragma once

#include "store/cache.h"

/* Checks that the object exists and is readable; store.not_found, store.denied name the URI. */
bool input_check(struct store *farm, const char *uri, struct store_stat *stat, struct error *err) must_check;
/* A local path with the object's bytes, held by the entry. */
struct cache_entry *input_fetch(struct cache *cache, struct store *farm, const char *uri, struct error *err) must_check;

/* The store that a spec's URI points into , for store_release, and the key there, which the caller frees; false with
 * store.invalid_url, and a NULL key, for anything else. */
bool input_locate(struct store *farm, const char *uri, struct store **store, char **key, struct error *err) must_check;
