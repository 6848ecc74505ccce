#include "worker/spot.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/memory.h"
#include "store/http.h"

enum { ANSWER_MS = 1000, TRIES = 3, TOKEN_MAX = 1024 };
static const struct http_policy policy = {.attempts = 1, .connect_ms = ANSWER_MS, .stall_seconds = 1};

struct spot {
    struct http *http;
    char *base, *token; /* no token: NULL */
    int failures;       /* in a row, before the first answer */
    bool has_answered;
};

struct spot *spot_new(void) {
    const char *endpoint = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *disabled = getenv("AWS_EC2_METADATA_DISABLED");
    struct spot *spot = xnew(struct spot);
    spot->base = xstrdup(endpoint && endpoint[0] ? endpoint : "http://169.254.169.254");
    size_t length = strlen(spot->base);
    if (spot->base[length - 1] == '/')
        spot->base[length - 1] = '\0';
    spot->failures = disabled && strcasecmp(disabled, "true") == 0 ? TRIES : 0;
    spot->http = http_new(&policy);
    return spot;
}

void spot_free(struct spot *spot) {
    http_free(spot->http);
    free(spot->base);
    free(spot->token);
    free(spot);
}

/* One request; the answer's status, 0 for none. */
static int spot_request(struct spot *spot, const char *method, const char *path, struct pair header,
                        struct http_response *response) {
    _cleanup_free_ char *url = xasprintf("%s%s", spot->base, path);
    const struct http_request request = {
        .method = method, .url = url, .headers = &header, .header_count = 1, .total_ms = ANSWER_MS, .direct = true};
    struct error none;
    return http_try(spot->http, &request, response, &none) ? response->status : 0;
}

static bool spot_renew_token(struct spot *spot) {
    _cleanup_http_response_ struct http_response response = {0};
    int status = spot_request(spot, "PUT", "/latest/api/token",
                              (struct pair){"X-aws-ec2-metadata-token-ttl-seconds", "21600"}, &response);
    if (status != 200 || response.body.length == 0 || response.body.length > TOKEN_MAX)
        return false;
    spot->token = xstrdup(response.body.data);
    return true;
}

bool spot_read_notice(const char *text, size_t length, char action[32]) {
    struct error none;
    _cleanup_json_ json_t *notice = json_parse(text, length, &none);
    const char *what = json_get_string(notice, "action", "");
    snprintf(action, 32, "%s", what);
    return what[0];
}

bool spot_noticed(struct spot *spot, char action[32]) {
    if (spot_is_absent(spot) || (!spot->token && !spot_renew_token(spot))) {
        spot->failures += !spot->has_answered && spot->failures < TRIES;
        return false;
    }
    spot->has_answered = true;
    _cleanup_http_response_ struct http_response response = {0};
    int status = spot_request(spot, "GET", "/latest/meta-data/spot/instance-action",
                              (struct pair){"X-aws-ec2-metadata-token", spot->token}, &response);
    if (status == 401)
        free(steal(spot->token)); /* it has run out; the next question brings a new one */
    return status == 200 && response.body.length > 0 &&
           spot_read_notice(response.body.data, response.body.length, action);
}

bool spot_is_absent(const struct spot *spot) { return !spot->has_answered && spot->failures >= TRIES; }
