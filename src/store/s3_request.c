#include "store/s3_request.h"

#include <string.h>

#include "base/digest.h"
#include "base/memory.h"
#include "store/xml.h"

void s3_answer_clear(struct s3_answer *answer) {
    http_response_clear(&answer->http);
    free(answer->code);
    *answer = (struct s3_answer){0};
}

/* Over TLS the body is not hashed: the connection protects it. */
static void payload_hash(const struct s3_bucket *s3, const struct s3_call *call, char out[SHA256_HEX + 1]) {
    unsigned char digest[SHA256_BYTES];
    if (call->length > 0 && strcmp(s3->scheme, "https") == 0) {
        memcpy(out, "UNSIGNED-PAYLOAD", sizeof "UNSIGNED-PAYLOAD");
        return;
    }
    sha256_of(call->body ? call->body : "", call->length, digest);
    hex_encode(digest, sizeof digest, out);
}

static bool sink_write_advancing(void *context, const void *data, size_t length, struct error *err) {
    struct s3_call *call = context;
    if (!call->sink->write(call->sink->context, data, length, err))
        return false;
    call->offset += (int64_t)length;
    call->count -= call->count >= 0 ? (int64_t)length : 0;
    return true;
}

enum { HEADERS_MAX = 9 };

/* The headers to sign, by name; the strings are borrowed. Returns how many there are. */
static size_t collect_headers(const struct s3_call *call, const char *host, const char *range, const char *hash,
                              const char *date, const char *session_token, struct pair out[HEADERS_MAX]) {
    const struct pair all[] = {
        {"content-type", call->body ? "application/octet-stream" : NULL},
        {"host", host},
        {"if-none-match", call->if_absent ? "*" : NULL},
        {"range", *range ? range : NULL},
        {"x-amz-content-sha256", hash},
        {"x-amz-date", date},
        {WRITE_ID_HEADER, call->write_id},
        {"x-amz-security-token", session_token},
    };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        if (all[i].value)
            out[count++] = all[i];
    return count;
}

static void range_header(const struct s3_call *call, char out[64]) {
    *out = '\0';
    if (call->sink && call->count >= 0)
        snprintf(out, 64, "bytes=%lld-%lld", (long long)call->offset, (long long)(call->offset + call->count - 1));
    else if (call->sink && call->offset > 0)
        snprintf(out, 64, "bytes=%lld-", (long long)call->offset);
}

/* One signed try. */
static bool s3_try(struct s3_bucket *s3, struct s3_call *call, const char *hash, const struct credentials *credentials,
                   struct http_response *response, struct error *err) {
    _cleanup_s3_address_ struct s3_address address;
    s3_address_init(&address, s3, call->key);
    char date[SIGV4_DATE_SIZE], range[64];
    struct pair headers[HEADERS_MAX];
    int64_t now = clock_wall_ms(http_policy(s3->http)->clock);
    sigv4_date(now, date);
    range_header(call, range);
    size_t count = collect_headers(call, address.host, range, hash, date, credentials->session_token, headers);
    const struct sigv4_request to_sign = {.method = call->method,
                                          .path = address.path,
                                          .query = call->query,
                                          .query_count = call->query_count,
                                          .headers = headers,
                                          .header_count = count,
                                          .payload_hash = hash,
                                          .region = address.region,
                                          .service = "s3",
                                          .time_ms = now};
    _cleanup_free_ char *authorization = sigv4_authorization(&to_sign, credentials);
    headers[count++] = (struct pair){"authorization", authorization};
    _cleanup_buffer_ struct buffer query = {0};
    canonical_query(&query, call->query, call->query_count);
    _cleanup_free_ char *url = s3_address_url(&address, s3, query.data);
    const struct sink sink = {sink_write_advancing, call};
    const struct http_request request = {.method = call->method,
                                         .url = url,
                                         .headers = headers,
                                         .header_count = count,
                                         .body = call->body,
                                         .length = call->length,
                                         .sink = call->sink ? &sink : NULL,
                                         .etag = *call->etag ? call->etag : NULL,
                                         .is_partial = call->sink && call->offset > 0};
    s3->base.requests++;
    return http_try(s3->http, &request, response, err);
}

static bool code_is(const struct s3_answer *answer, const char *code) {
    return answer->code && strcmp(answer->code, code) == 0;
}

/* Reads the error's code. CompleteMultipartUpload may answer 200 and then say in the body that it failed. */
static void s3_read_code(struct s3_answer *answer) {
    const struct buffer *body = &answer->http.body;
    free(steal(answer->code));
    if (answer->http.status / 100 == 2 && (!body->data || !strstr(body->data, "<Error>")))
        return;
    if (answer->http.status / 100 == 2)
        answer->http.status = 500;
    if (body->data)
        answer->code = xml_text(body->data, body->length, "Code");
}

static bool s3_is_transient(const struct s3_answer *answer) {
    static const char *const codes[] = {"SlowDown",         "RequestTimeout",     "InternalError",
                                        "OperationAborted", "ServiceUnavailable", "ConditionalRequestConflict"};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++)
        if (code_is(answer, codes[i]))
            return true;
    return http_is_transient(answer->http.status);
}

/* A HEAD's answer has no body to name the reason in. */
static bool credentials_expired(const struct s3_call *call, const struct s3_answer *answer,
                                const struct credentials *credentials) {
    return code_is(answer, "ExpiredToken") || code_is(answer, "TokenRefreshRequired") ||
           (answer->http.status == 400 && strcmp(call->method, "HEAD") == 0 && credentials->session_token);
}

/* AWS names the bucket's region when the request was signed for another one; true when that is a new one, so that the
 * request is worth sending again. */
static bool learn_region(struct s3_bucket *s3, const struct s3_answer *answer) {
    int status = answer->http.status;
    if (s3->endpoint || !*answer->http.region || (status != 301 && status != 307 && status != 400))
        return false;
    return s3_bucket_set_region(s3, answer->http.region);
}

static enum error_code s3_error_code(const struct s3_answer *answer) {
    if (s3_is_transient(answer))
        return ERR_STORE_UNAVAILABLE;
    if (code_is(answer, "KeyTooLongError"))
        return ERR_STORE_INVALID_KEY;
    if (code_is(answer, "NoSuchUpload"))
        return ERR_STORE_UNAVAILABLE;
    switch (answer->http.status) {
    case 404:
        return ERR_STORE_NOT_FOUND;
    case 409:
    case 412:
        return ERR_STORE_EXISTS;
    case 413:
        return ERR_STORE_TOO_LARGE;
    case 507:
        return ERR_DISK_FULL;
    default:
        return answer->http.status >= 500 ? ERR_STORE_UNAVAILABLE : ERR_STORE_DENIED;
    }
}

/* What the user can do about a failure; "" where nobody knows. */
static const char *s3_advice(const struct s3_answer *answer) {
    if (code_is(answer, "RequestTimeTooSkewed"))
        return "; this machine's clock is wrong";
    if (code_is(answer, "InvalidAccessKeyId") || code_is(answer, "SignatureDoesNotMatch"))
        return "; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    if (answer->http.status == 301)
        return "; set AWS_REGION to the bucket's region";
    if (answer->http.status == 403)
        return "; check the credentials and the bucket's policy";
    return "";
}

/* Types a failure by its status and the code in its XML, and says what to do about it. */
static bool s3_fail(const struct s3_bucket *s3, const struct s3_call *call, const struct s3_answer *answer,
                    struct error *err) {
    const struct buffer *body = &answer->http.body;
    enum error_code code = s3_error_code(answer);
    if (code_is(answer, "NoSuchBucket"))
        return error_set(err, code, "the bucket %s does not exist", s3->name);
    const char *key = call->key ? call->key : "";
    if (code == ERR_STORE_NOT_FOUND)
        return error_set(err, code, "no object s3://%s/%s%s", s3->name, s3->prefix, key);
    if (code == ERR_STORE_EXISTS)
        return error_set(err, code, "s3://%s/%s%s exists already", s3->name, s3->prefix, key);
    _cleanup_free_ char *message = body->data ? xml_text(body->data, body->length, "Message") : NULL;
    const char *advice = s3_advice(answer);
    return error_set(err, code, "%s s3://%s/%s%s: the server answered %d%s%s%s%s%s", call->method, s3->name, s3->prefix,
                     key, answer->http.status, answer->code ? " " : "", answer->code ? answer->code : "",
                     message && *message ? ": " : "", message ? message : "", advice);
}

/* The range is used up, or begins at or behind the end: there is no more to read. */
static bool s3_is_read(const struct s3_call *call, const struct s3_answer *answer) {
    return call->sink && (answer->http.status == 416 || call->count == 0);
}

bool s3_send(struct s3_bucket *s3, struct s3_call *call, struct s3_answer *answer, struct error *err) {
    const struct http_policy *policy = http_policy(s3->http);
    char hash[SHA256_HEX + 1];
    payload_hash(s3, call, hash);
    struct error failure = {0}; /* only the last try's is shown */
    for (int attempt = 0, renewed = 0;;) {
        _cleanup_credentials_ struct credentials credentials = {0};
        if (!credentials_get(s3->credentials, &credentials, err))
            return false;
        bool answered = s3_try(s3, call, hash, &credentials, &answer->http, &failure);
        s3_read_code(answer);
        if ((answered && answer->http.status / 100 == 2) || (!answer->http.is_final && s3_is_read(call, answer)))
            return true;
        if (answered && renewed < 2 && (credentials_expired(call, answer, &credentials) || learn_region(s3, answer))) {
            credentials_forget(s3->credentials, &credentials);
            renewed++;
            continue;
        }
        bool again = !answer->http.is_final && (!answered || s3_is_transient(answer));
        if (!again || ++attempt >= policy->attempts) {
            if (answered)
                return s3_fail(s3, call, answer, err);
            *err = failure;
            return error_wrap(err, "s3://%s/%s%s", s3->name, s3->prefix, call->key ? call->key : "");
        }
        if (call->sink && !*call->etag)
            memcpy(call->etag, answer->http.etag, sizeof call->etag);
        s3->base.retries++;
        cancel_sleep(policy->cancel, policy->clock, http_retry_delay_ms(policy, attempt - 1));
    }
}

bool s3_wrote(struct s3_bucket *s3, const char *key, const char *write_id) {
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error ignored;
    return s3_send(s3, &(struct s3_call){.method = "HEAD", .key = key}, &answer, &ignored) &&
           strcmp(answer.http.write_id, write_id) == 0;
}
