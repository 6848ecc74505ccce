/* One bucket: where it is, and with which credentials it is asked. Internal to the room. */
#pragma once

#include "store/backend.h"
#include "store/s3_link.h"

/* What s3_store.c, s3_request.c and s3_writer.c share. */
struct s3_bucket {
    struct store base;
    char *name, *prefix; /* prefix: "" or "some/prefix/" */
    char *endpoint;      /* as given; NULL: AWS */
    char *scheme, *host; /* of the endpoint; host with its port unless that is the scheme's own */
    bool is_path_style;
    char *home_region; /* as set up */
    /* Guards `region` only; nothing is called while it is held. */
    pthread_mutex_t lock;
    char region[40]; /* the bucket's: AWS may name another one than was set up */
    struct s3_link *link;
    struct http *http;                     /* of the link */
    struct credential_source *credentials; /* of the link */
};

/* As s3_store_open; the caller sets base.operations. */
struct s3_bucket *s3_bucket_new(const char *name, const char *prefix, const struct store_options *options,
                                struct s3_link *link, struct error *err) must_check;
void s3_bucket_free(struct s3_bucket *s3);
DEFINE_CLEANUP(struct s3_bucket *, s3_bucket_free)
static inline struct s3_bucket *s3_bucket_of(struct store *store) { return (struct s3_bucket *)store; }

/* Signs for this region from now on; true when that is another one than before. */
bool s3_bucket_set_region(struct s3_bucket *s3, const char region[40]);

/* Where a request goes: virtual-host style on AWS, path style elsewhere and for buckets with a dot, whose
 * names no wildcard certificate covers. */
struct s3_address {
    char region[40];
    char *host;
    char *path; /* not encoded */
};
/* `key` NULL: the bucket itself. */
void s3_address_init(struct s3_address *address, struct s3_bucket *s3, const char *key);
void s3_address_clear(struct s3_address *address);
#define _cleanup_s3_address_ _cleanup_(s3_address_clear)
/* The URL with this encoded query ("" or NULL: none); caller frees. */
char *s3_address_url(const struct s3_address *address, const struct s3_bucket *s3, const char *query);
