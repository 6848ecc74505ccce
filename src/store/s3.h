/* Requests to one bucket: signed, retried, their failures typed. Internal to the room. */
#pragma once

#include "store/credentials.h"

struct s3_store {
    struct store base;
    char *bucket, *prefix; /* prefix: "" or "some/prefix/" */
    char *endpoint;        /* as given; NULL: AWS */
    char *scheme, *host;   /* of the endpoint; host with its port unless that is the scheme's own */
    bool is_path_style;
    char *home_region; /* as set up */
    pthread_mutex_t lock;
    char region[40]; /* the bucket's, under the lock: AWS may tell us another one */
    struct http *http;
    struct credential_source *credentials;
};

/* Where a request goes: virtual-host style on AWS, path style elsewhere and for buckets with a dot, whose
 * names no wildcard certificate covers. */
struct s3_address {
    char region[40];
    char *host;
    char *path; /* not encoded */
};
void s3_address_init(struct s3_address *address, struct s3_store *s3, const char *key);
void s3_address_clear(struct s3_address *address);
#define _cleanup_s3_address_ _cleanup_(s3_address_clear)
/* The URL with this encoded query ("" or NULL: none); caller frees. */
char *s3_address_url(const struct s3_address *address, const struct s3_store *s3, const char *query);

struct s3_call {
    const char *method;
    const char *key; /* below the prefix; NULL: the bucket */
    const struct pair *query;
    size_t query_count;
    const void *body; /* NULL: none */
    size_t length;
    bool if_absent;
    const char *write_id; /* NULL: none */
    /* GET: `count` bytes (-1: all) from `offset` into the sink. These move along as bytes arrive, so that a
     * retry goes on where the last try broke off. */
    const struct sink *sink;
    int64_t offset, count;
    char etag[80]; /* refuse another object's bytes; "": any */
};

struct s3_answer {
    struct http_response http;
    char *code; /* of an error's XML; NULL: none */
};
void s3_answer_clear(struct s3_answer *answer);
#define _cleanup_s3_answer_ _cleanup_(s3_answer_clear)

/* True for a 2xx answer. On failure `answer` still tells what came, if anything. */
bool s3_send(struct s3_store *s3, struct s3_call *call, struct s3_answer *answer, struct error *err) must_check;
/* True when the object there now carries this write's id. */
bool s3_wrote(struct s3_store *s3, const char *key, const char *write_id);

/* Replaces the waiting and retrying of a store of s3:// form; for tests, before the store is used. */
void s3_policy_set(struct store *store, const struct http_policy *policy);

extern const struct store_operations s3_operations;
/* s3_writer.c */
struct store_writer *s3_writer_open(struct store *store, const char *key, struct error *err);
bool s3_writer_write(struct store_writer *writer, const void *data, size_t length, struct error *err);
bool s3_writer_commit(struct store_writer *writer, enum store_flags flags, struct error *err);
void s3_writer_free(struct store_writer *writer);
