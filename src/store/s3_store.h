/* The store in an S3 bucket. Internal to the room; store_open is the door. */
#pragma once

#include "store/backend.h"
#include "store/s3_link.h"

/* `prefix` has no slash at its end and may be "". NULL options: all from the environment. NULL link: one of its own.
 * Asks no server. NULL with store.invalid_url for an endpoint that is none. */
struct store *s3_store_open(const char *bucket, const char *prefix, const struct store_options *options,
                            struct s3_link *link, struct error *err) must_check;
/* What the store shares with its siblings, borrowed; NULL for file://. */
struct s3_link *s3_store_link(const struct store *store);
/* What `store` was opened with, for its siblings; strings are borrowed from it. All NULL for file://. */
struct store_options s3_store_options(const struct store *store);
/* Replaces the waiting and retrying of a store of s3:// form; for tests, before the store is used. */
void s3_policy_set(struct store *store, const struct http_policy *policy);
