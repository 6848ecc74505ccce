#include "store/input.h"

#include <string.h>

#include "base/digest.h"
#include "base/memory.h"

bool input_locate(struct store *farm, const char *uri, struct store **store, char **key, struct error *err) {
    if (strncmp(uri, "sha256:", 7) == 0 && is_sha256_hex(uri + 7)) {
        *store = farm;
        *key = xasprintf("files/%s", uri + 7);
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
    struct store *store;
    _cleanup_free_ char *key = NULL;
    return (input_locate(farm, uri, &store, &key, err) && store_head(store, key, stat, err)) ||
           error_wrap(err, "%s", uri);
}

struct cache_entry *input_fetch(struct cache *cache, struct store *farm, const char *uri, struct error *err) {
    struct store *store;
    _cleanup_free_ char *key = NULL;
    struct cache_entry *entry = input_locate(farm, uri, &store, &key, err) ? cache_fetch(cache, store, key, err) : NULL;
    if (!entry)
        error_wrap(err, "%s", uri);
    return entry;
}
