#include "store/input.h"

#include <string.h>

#include "base/digest.h"
#include "base/memory.h"

/* The hash by which the URI names its bytes; NULL when it names a place. */
static const char *uri_hash(const char *uri) {
    return strncmp(uri, "sha256:", 7) == 0 && is_sha256_hex(uri + 7) ? uri + 7 : NULL;
}

bool input_locate(struct store *farm, const char *uri, struct store **store, char **key, struct error *err) {
    const char *hash = uri_hash(uri);
    if (hash) {
        *store = farm;
        *key = xasprintf("files/%s", hash);
        return true;
    }
    const char *bucket = uri + 5, *slash = strncmp(uri, "s3://", 5) == 0 ? strchr(bucket, '/') : NULL;
    if (!slash || slash == bucket || !slash[1])
        return error_set(err, ERR_STORE_INVALID_URL, "\"%s\" is neither s3://bucket/key nor sha256:<64 hex digits>",
                         uri);
    _cleanup_free_ char *name = xstrndup(bucket, (size_t)(slash - bucket));
    *store = store_sibling(farm, name, err);
    *key = *store ? xstrdup(slash + 1) : NULL;
    return *store;
}

bool input_check(struct store *farm, const char *uri, struct store_stat *stat, struct error *err) {
    _cleanup_release_ struct store *store = NULL;
    _cleanup_free_ char *key = NULL;
    return (input_locate(farm, uri, &store, &key, err) && store_head(store, key, stat, err)) ||
           error_wrap(err, "%s", uri);
}

struct cache_entry *input_fetch(struct cache *cache, struct store *farm, const char *uri, struct error *err) {
    _cleanup_release_ struct store *store = NULL;
    _cleanup_free_ char *key = NULL;
    struct cache_entry *entry =
        input_locate(farm, uri, &store, &key, err) ? cache_fetch(cache, store, key, uri_hash(uri), err) : NULL;
    if (!entry)
        error_wrap(err, "%s", uri);
    return entry;
}
