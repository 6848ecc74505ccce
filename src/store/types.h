/* What every kind of store and all who use one know: how an object is described, written, and where. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum store_flags {
    STORE_IF_ABSENT = 1, /* fail with store.exists when the key is taken */
};

/* How a store is reached. Strings are borrowed while store_open runs. file:// needs no more than the flag. */
struct store_options {
    const char *endpoint; /* http(s)://host:port of MinIO and the like, which implies path style; NULL: the variables
                             MELA_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, then AWS */
    const char *region;   /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile, then us-east-1 */
    /* Raised by another thread: what this store, its siblings and a cache's fetches from them wait for or send ends as
     * `cancelled`, within about 200 ms. Outlives the store. NULL: never. */
    const atomic_bool *cancel;
};

struct store_stat {
    int64_t size;
    int64_t modified_ms; /* Unix time */
    char etag[80];       /* "" for file:// */
};
