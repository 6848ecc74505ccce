#include "store/s3_link.h"

#include "base/memory.h"

struct s3_link *s3_link_new(const struct http_policy *policy, const char *region) {
    struct s3_link *link = xnew(struct s3_link);
    link->http = http_new(policy);
    link->credentials = credential_source_new(link->http, region);
    atomic_init(&link->users, 1);
    return link;
}

struct s3_link *s3_link_hold(struct s3_link *link) {
    atomic_fetch_add(&link->users, 1);
    return link;
}

void s3_link_release(struct s3_link *link) {
    if (atomic_fetch_sub(&link->users, 1) > 1)
        return;
    credential_source_free(link->credentials);
    http_free(link->http);
    free(link);
}
