/* One request, as its handler sees it. Private to this room. */
#pragma once

#include <microhttpd.h>

#include "base/digest.h"
#include "base/json.h"
#include "server/context.h"

enum { PATH_ARGUMENTS = 2 };

struct route;
struct upload;

struct request {
    struct api *api;
    struct MHD_Connection *connection;
    const struct route *route; /* NULL: none matched */
    char *target, *path, *query;
    char *arguments[PATH_ARGUMENTS]; /* what the placeholders of the route's pattern matched */
    char method[17];
    int64_t content_length;
    char *key_name; /* whose key; NULL on public routes */
    struct buffer body;
    struct upload *upload; /* of upload.c */
    struct queue *queue;   /* borrowed by request_queue; NULL: not yet */
    json_t *details;       /* of an error: a list of problems, or NULL */
    struct MHD_Response *response;
    unsigned status;
    bool begun, early;   /* early: answered before the body was read, so the connection is of no more use */
    bool has_large_spec; /* counted in api->large_specs */
    int64_t started_ns;
};

/* The connection to Redis of this request, borrowed until its handler returns; queue.unavailable. */
struct queue *request_queue(struct request *request, struct error *err) must_check;
/* Gives it back, if there is one. */
void request_return_queue(struct request *request);
/* The body as JSON of at most `most` values, which the caller frees; NULL with api.bad_request or json.invalid. */
json_t *request_json(const struct request *request, size_t most, struct error *err) must_check;
/* ?cursor= (*cursor NULL when missing; caller frees) and ?limit= (1 to `most`, `usual` when missing);
 * api.bad_request. */
bool request_page(const struct request *request, int usual, int most, char **cursor, int *limit,
                  struct error *err) must_check;
/* A request header, NULL when missing. Borrowed. */
const char *request_header(const struct request *request, const char *name);
