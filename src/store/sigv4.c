#include "store/sigv4.h"

#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/memory.h"

void credentials_clear(struct credentials *credentials) {
    free(credentials->access_key);
    free(credentials->secret_key);
    free(credentials->session_token);
    *credentials = (struct credentials){0};
}

void sigv4_date(int64_t time_ms, char out[SIGV4_DATE_SIZE]) {
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &utc);
}

static bool is_unreserved(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

void uri_encode(struct buffer *out, const char *text, bool keep_slash) {
    for (const char *c = text; *c; c++) {
        if (is_unreserved((unsigned char)*c) || (keep_slash && *c == '/'))
            buffer_append(out, c, 1);
        else
            buffer_appendf(out, "%%%02X", (unsigned char)*c);
    }
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void canonical_query(struct buffer *out, const struct pair *query, size_t count) {
    if (count == 0)
        return;
    /* Encoded names cannot hold '=' or anything below it but "%-." and digits, so "name\1value" sorts by name
     * first. */
    _cleanup_free_ char **parts = xnew_array(char *, count);
    for (size_t i = 0; i < count; i++) {
        struct buffer part = {0};
        uri_encode(&part, query[i].name, false);
        buffer_append(&part, "\1", 1);
        uri_encode(&part, query[i].value, false);
        parts[i] = buffer_steal(&part);
    }
    qsort(parts, count, sizeof *parts, by_text);
    for (size_t i = 0; i < count; i++) {
        *strchr(parts[i], '\1') = '=';
        buffer_appendf(out, "%s%s", i ? "&" : "", parts[i]);
        free(parts[i]);
    }
}

static void signed_names(struct buffer *out, const struct sigv4_request *request) {
    for (size_t i = 0; i < request->header_count; i++)
        buffer_appendf(out, "%s%s", i ? ";" : "", request->headers[i].name);
}

static void hash_hex(const struct buffer *text, char hex[SHA256_HEX + 1]) {
    unsigned char digest[SHA256_BYTES];
    sha256_of(text->data, text->length, digest);
    hex_encode(digest, sizeof digest, hex);
}

static char *scope_of(const struct sigv4_request *request) {
    char date[SIGV4_DATE_SIZE];
    sigv4_date(request->time_ms, date);
    return xasprintf("%.8s/%s/%s/aws4_request", date, request->region, request->service);
}

/* The signature over the request with this query, as hex. */
static void sign(const struct sigv4_request *request, const char *query, const char *secret,
                 char signature[SHA256_HEX + 1]) {
    _cleanup_buffer_ struct buffer canonical = {0}, text = {0};
    buffer_appendf(&canonical, "%s\n", request->method);
    uri_encode(&canonical, request->path, true);
    buffer_appendf(&canonical, "\n%s\n", query);
    for (size_t i = 0; i < request->header_count; i++)
        buffer_appendf(&canonical, "%s:%s\n", request->headers[i].name, request->headers[i].value);
    buffer_append_text(&canonical, "\n");
    signed_names(&canonical, request);
    buffer_appendf(&canonical, "\n%s", request->payload_hash);

    char date[SIGV4_DATE_SIZE], hash[SHA256_HEX + 1];
    sigv4_date(request->time_ms, date);
    hash_hex(&canonical, hash);
    _cleanup_free_ char *scope = scope_of(request);
    buffer_appendf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);

    unsigned char key[SHA256_BYTES];
    _cleanup_free_ char *start = xasprintf("AWS4%s", secret);
    hmac_sha256(start, strlen(start), date, 8, key);
    hmac_sha256(key, sizeof key, request->region, strlen(request->region), key);
    hmac_sha256(key, sizeof key, request->service, strlen(request->service), key);
    hmac_sha256(key, sizeof key, "aws4_request", strlen("aws4_request"), key);
    hmac_sha256(key, sizeof key, text.data, text.length, key);
    hex_encode(key, sizeof key, signature);
}

char *sigv4_authorization(const struct sigv4_request *request, const struct credentials *credentials) {
    _cleanup_buffer_ struct buffer query = {0}, names = {0};
    canonical_query(&query, request->query, request->query_count);
    signed_names(&names, request);
    char signature[SHA256_HEX + 1];
    sign(request, query.data ? query.data : "", credentials->secret_key, signature);
    _cleanup_free_ char *scope = scope_of(request);
    return xasprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", credentials->access_key,
                     scope, names.data, signature);
}
