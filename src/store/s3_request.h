/* Requests to one bucket: signed, retried, their failures typed. Internal to the room. */
#pragma once

#include "store/http.h"
#include "store/s3_bucket.h"

struct s3_call {
    const char *method;
    const char *key; /* below the prefix; NULL: the bucket */
    const struct pair *query;
    size_t query_count;
    const void *body; /* NULL: none */
    size_t length;
    bool if_absent;
    const char *write_id; /* NULL: none */
    /* GET: `count` bytes (-1: all) from `offset` into the sink. s3_send moves both on as bytes arrive, so that a
     * retry continues where the last try broke off. */
    const struct sink *sink;
    int64_t offset, count;
    char etag[80]; /* refuse another object's bytes; "": any, until the first answer has named one */
};

struct s3_answer {
    struct http_response http;
    char *code; /* of an error's XML; NULL: none */
};
void s3_answer_clear(struct s3_answer *answer);
#define _cleanup_s3_answer_ _cleanup_(s3_answer_clear)

/* True for a 2xx answer. On failure `answer` still holds what came, if anything. */
bool s3_send(struct s3_bucket *s3, struct s3_call *call, struct s3_answer *answer, struct error *err) must_check;
/* True when the object there now carries this write's id. */
bool s3_wrote(struct s3_bucket *s3, const char *key, const char *write_id);
