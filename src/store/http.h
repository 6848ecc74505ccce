/* HTTP requests by libcurl over connections that are kept, and when and how long to wait before the next try.
 * Internal to the room, but for http_process_begin. */
#pragma once

#include "store/cancel.h"
#include "store/sigv4.h"
#include "store/sink.h"

/* How long to wait for a server, and how often to try. Tests make it short. */
struct http_policy {
    int attempts;              /* in all */
    int64_t base_ms, limit_ms; /* full jitter: before try n, uniform in [0, min(limit, base * 2^n)) */
    int connect_ms;
    int stall_seconds;         /* no byte moved for so long: the connection is given up */
    const struct clock *clock; /* NULL: the machine's */
    const atomic_bool *cancel; /* raised by another thread: what waits or is under way ends in a moment, as `cancelled`;
                                  NULL: never */
};
/* 6 tries, 100 ms to 10 s; 5 s to connect, 30 s without a byte. */
extern const struct http_policy http_policy_default;
/* How long to wait after try `attempt` (from 0) has failed. */
int64_t http_retry_delay_ms(const struct http_policy *policy, int attempt);
/* True for what may be gone at the next try: 408, 429, 500, 502, 503, 504. */
bool http_is_transient(int status);

/* Sets libcurl up; for a `main`, as base/process.h says. */
void http_process_begin(void);

struct http;
/* For any number of threads at once. `policy` is copied. */
struct http *http_new(const struct http_policy *policy);
void http_free(struct http *http);
DEFINE_CLEANUP(struct http *, http_free)
#define _cleanup_http_ _cleanup_(http_free_cleanup)
/* Borrowed, valid until http_free. */
const struct http_policy *http_policy(const struct http *http);
/* For tests: not while requests are running. */
void http_policy_set(struct http *http, const struct http_policy *policy);

struct http_request {
    const char *method, *url;
    const struct pair *headers;
    size_t header_count;
    const void *body; /* NULL: none */
    size_t length;
    const struct sink *sink; /* for the body of a 2xx answer; NULL: into the response */
    const char *etag;        /* not NULL: a 2xx answer with another one is refused */
    bool is_partial;         /* a 2xx answer other than 206 is refused */
    int total_ms;            /* 0: only stalls end it */
    bool direct;             /* use no proxy: for link-local and loopback services */
};

/* Metadata by which a writer knows its own object again when the answer to a write got lost. */
#define WRITE_ID_HEADER "x-amz-meta-mela-write"

struct http_response {
    int status;         /* 0: no complete answer came */
    bool is_final;      /* the failure is the sink's, the etag's or the cancel flag's: trying again does not help */
    struct buffer body; /* of an error, or of any answer without a sink */
    char etag[80];      /* without quotes */
    int64_t length, modified_ms;
    char region[40];   /* S3's x-amz-bucket-region */
    char write_id[40]; /* WRITE_ID_HEADER */
};
void http_response_clear(struct http_response *response);
#define _cleanup_http_response_ _cleanup_(http_response_clear)

/* One try. True when an answer came, of whatever status; else store.unavailable, `cancelled`, or the sink's error. */
bool http_try(struct http *http, const struct http_request *request, struct http_response *response,
              struct error *err) must_check;
/* Tries until an answer is not transient, as often as the policy allows; returns as http_try did last. The sink must
 * bear the same bytes twice. */
bool http_send(struct http *http, const struct http_request *request, struct http_response *response,
               struct error *err) must_check;
