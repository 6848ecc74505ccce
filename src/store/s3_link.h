/* What the buckets of one farm share: connections and credentials. Counted; freed with its last bucket. Internal to the
 * room. */
#pragma once

#include "store/credentials.h"
#include "store/http.h"

struct s3_link {
    struct http *http;
    struct credential_source *credentials;
    atomic_int users; /* the last one frees, after all others have let go: the default order */
};

/* With one user. `policy` and `region`, where STS is asked, are copied. */
struct s3_link *s3_link_new(const struct http_policy *policy, const char *region);
/* One user more; returns `link`. */
struct s3_link *s3_link_hold(struct s3_link *link);
void s3_link_release(struct s3_link *link);
