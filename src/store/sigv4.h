/* AWS Signature Version 4, header and query form, after
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * The path is encoded once and not normalised, as S3 wants it. Internal to the room. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

struct pair {
    const char *name, *value;
};

struct credentials {
    char *access_key, *secret_key;
    char *session_token; /* NULL: none */
    int64_t expires_ms;  /* Unix time; 0: never */
};
void credentials_clear(struct credentials *credentials);
#define _cleanup_credentials_ _cleanup_(credentials_clear)

struct sigv4_request {
    const char *method;
    const char *path;           /* not encoded, from "/" on */
    const struct pair *query;   /* not encoded, in any order */
    const struct pair *headers; /* lower-case names, ascending; "host" and all that are to be signed */
    size_t query_count, header_count;
    const char *payload_hash; /* hex, or "UNSIGNED-PAYLOAD" */
    const char *region, *service;
    int64_t time_ms;
};

enum { SIGV4_DATE_SIZE = 17 };
/* "20130524T000000Z" */
void sigv4_date(int64_t time_ms, char out[SIGV4_DATE_SIZE]);
/* Percent-encodes all but unreserved characters, and but '/' if `keep_slash`. */
void uri_encode(struct buffer *out, const char *text, bool keep_slash);
/* name=value&... encoded and sorted as it is signed; good for the URL too. */
void canonical_query(struct buffer *out, const struct pair *query, size_t count);
/* The Authorization header's value; caller frees. The headers must hold x-amz-date and, where the credentials
 * have one, x-amz-security-token. */
char *sigv4_authorization(const struct sigv4_request *request, const struct credentials *credentials);
