/* The request guard: what a request must look like before anything else reads it. Pure.
 *
 * libmicrohttpd lets through what proxies and servers disagree about (two lengths, a length beside a transfer
 * coding, no host); behind a proxy each of these is a way to smuggle a request. All are refused here with
 * api.bad_request. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    GUARD_TARGET_MAX = 8192, /* bytes of path and query */
    GUARD_HEADERS_MAX = 100,
    GUARD_HEADER_BYTES_MAX = 16384, /* names and values together */
    GUARD_JSON_DEPTH_MAX = 16,      /* a spec's is 4; the parser calls itself for each, on a small stack */
};

struct guard_header {
    const char *name, *value; /* borrowed */
    size_t name_length, value_length;
};

/* Checks the request line; api.bad_request. */
bool guard_line(const char *method, const char *target, const char *version, struct error *err) must_check;
/* Checks the headers; *content_length is the body's size, 0 when there is none. */
bool guard_headers(const struct guard_header *headers, size_t count, int64_t *content_length,
                   struct error *err) must_check;
/* Splits a target into its decoded path and its query as sent ("" when there is none). The path is decoded
 * once; it starts with '/', is UTF-8 without control characters, and has no empty, "." or ".." component.
 * Caller frees both. */
bool guard_target(const char *target, char **path, char **query, struct error *err) must_check;
/* Refuses a JSON text that is nested deeper than any body that the API takes, or has more values than `most`, before it
 * is parsed: each takes the parser 100 bytes of memory, or 400 if it is an object. The parser says what else is wrong
 * with it. */
bool guard_json(const char *text, size_t length, size_t most, struct error *err) must_check;
/* Refuses a query with another parameter than those named in `known`, with spaces between them; NULL: none. One that is
 * misspelt would be ignored else, and the answer would be to another question. */
bool guard_query(const char *query, const char *known, struct error *err) must_check;
/* The decoded value of a parameter; *value stays NULL when it is missing. A repeated one is refused. Caller
 * frees. */
bool guard_parameter(const char *query, const char *name, char **value, struct error *err) must_check;
