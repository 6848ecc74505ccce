#include "store/credentials.h"

#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "store/profile.h"
#include "store/xml.h"

enum { EARLY_MS = 5 * 60 * 1000, TOKEN_LIMIT = 64 * 1024 };

struct credential_source {
    struct http *http;
    char *region;
    /* Guards what follows. Nothing that waits is called while it is held. */
    pthread_mutex_t lock;
    struct credentials now; /* access_key NULL: none yet */
    bool is_fetching;       /* one thread asks for new ones; others use `now` while it is valid, or wait */
    pthread_cond_t fetched; /* is_fetching is false again */
};

/* What asking one provider led to. */
enum outcome { ABSENT, FOUND, FAILED };

struct credential_source *credential_source_new(struct http *http, const char *region) {
    struct credential_source *source = xnew(struct credential_source);
    source->http = http;
    source->region = xstrdup(region);
    pthread_mutex_init(&source->lock, NULL);
    pthread_cond_init(&source->fetched, NULL);
    return source;
}

void credential_source_free(struct credential_source *source) {
    credentials_clear(&source->now);
    pthread_cond_destroy(&source->fetched);
    pthread_mutex_destroy(&source->lock);
    free(source->region);
    free(source);
}

/* The variable's value, NULL when it is unset or empty. */
static const char *environment_get(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static enum outcome from_environment(struct credentials *out) {
    const char *access = environment_get("AWS_ACCESS_KEY_ID"), *secret = environment_get("AWS_SECRET_ACCESS_KEY");
    if (!access || !secret)
        return ABSENT;
    *out = (struct credentials){xstrdup(access), xstrdup(secret), xstrdup(environment_get("AWS_SESSION_TOKEN")), 0};
    return FOUND;
}

static enum outcome from_profile(struct credentials *out, struct error *err) {
    struct credentials found = {profile_get("aws_access_key_id"), profile_get("aws_secret_access_key"),
                                profile_get("aws_session_token"), 0};
    if (found.access_key && found.secret_key) {
        *out = found;
        return FOUND;
    }
    credentials_clear(&found);
    if (!environment_get("AWS_PROFILE"))
        return ABSENT;
    error_set(err, ERR_STORE_CREDENTIALS, "the profile %s has no aws_access_key_id and aws_secret_access_key in ~/.aws",
              getenv("AWS_PROFILE"));
    return FAILED;
}

/* Fails when the answer is not a 200; the body is not shown, it may hold secrets. */
static bool credentials_request(struct credential_source *source, const struct http_request *request,
                                struct http_response *response, struct error *err) {
    if (!http_send(source->http, request, response, err))
        return error_wrap(err, "cannot fetch credentials");
    if (response->status == 200 && response->body.length > 0)
        return true;
    _cleanup_free_ char *code =
        response->body.data ? xml_text(response->body.data, response->body.length, "Code") : NULL;
    return error_set(err, ERR_STORE_CREDENTIALS, "cannot fetch credentials: %.*s answered %d%s%s",
                     (int)strcspn(request->url, "?"), request->url, response->status, code ? " " : "",
                     code ? code : "");
}

static bool token_read(const char *path, struct buffer *out, struct error *err) {
    if (!file_read(path, TOKEN_LIMIT, out, err))
        return error_wrap(err, "cannot fetch credentials");
    while (out->length > 0 && strchr(" \r\n", out->data[out->length - 1]))
        out->data[--out->length] = '\0';
    return true;
}

static bool credentials_are_complete(const struct credentials *found, const char *from, struct error *err) {
    return (found->access_key && found->secret_key) ||
           error_set(err, ERR_STORE_CREDENTIALS, "the answer of %s holds no credentials", from);
}

bool credentials_from_xml(const struct buffer *answer, const char *url, struct credentials *out, struct error *err) {
    const char *xml = answer->data;
    size_t length = answer->length;
    _cleanup_free_ char *expires = xml_text(xml, length, "Expiration");
    *out = (struct credentials){xml_text(xml, length, "AccessKeyId"), xml_text(xml, length, "SecretAccessKey"),
                                xml_text(xml, length, "SessionToken"), 0};
    if (expires)
        (void)clock_parse_iso(expires, &out->expires_ms);
    return credentials_are_complete(out, url, err);
}

static bool assume_role(struct credential_source *source, const char *role, const char *token, struct credentials *out,
                        struct error *err) {
    const char *given = environment_get("AWS_ENDPOINT_URL_STS"), *name = environment_get("AWS_ROLE_SESSION_NAME");
    _cleanup_free_ char *url = given ? xstrdup(given)
                                     : xasprintf("https://sts.%s.amazonaws.com%s/", source->region,
                                                 strncmp(source->region, "cn-", 3) == 0 ? ".cn" : "");
    const struct pair form[] = {{"Action", "AssumeRoleWithWebIdentity"},
                                {"Version", "2011-06-15"},
                                {"RoleArn", role},
                                {"RoleSessionName", name ? name : "mela"},
                                {"WebIdentityToken", token}};
    _cleanup_buffer_ struct buffer body = {0};
    canonical_query(&body, form, ARRAY_LENGTH(form));
    _cleanup_http_response_ struct http_response response = {0};
    const struct pair type = {"Content-Type", "application/x-www-form-urlencoded"};
    if (!credentials_request(source,
                             &(struct http_request){.method = "POST",
                                                    .url = url,
                                                    .headers = &type,
                                                    .header_count = 1,
                                                    .body = body.data,
                                                    .length = body.length},
                             &response, err))
        return false;
    return credentials_from_xml(&response.body, url, out, err);
}

static enum outcome from_web_identity(struct credential_source *source, struct credentials *out, struct error *err) {
    const char *path = environment_get("AWS_WEB_IDENTITY_TOKEN_FILE"), *role = environment_get("AWS_ROLE_ARN");
    if (!path || !role)
        return ABSENT;
    _cleanup_buffer_ struct buffer token = {0};
    if (!token_read(path, &token, err))
        return FAILED;
    if (token.length == 0) {
        error_set(err, ERR_STORE_CREDENTIALS, "the web identity token file %s is empty", path);
        return FAILED;
    }
    return assume_role(source, role, token.data, out, err) ? FOUND : FAILED;
}

bool credentials_from_json(const struct buffer *answer, const char *url, struct credentials *out, struct error *err) {
    _cleanup_json_ json_t *json = json_parse(answer->data, answer->length, err);
    if (!json)
        return error_wrap(err, "the answer of %s", url);
    *out = (struct credentials){xstrdup(json_get_string(json, "AccessKeyId", NULL)),
                                xstrdup(json_get_string(json, "SecretAccessKey", NULL)),
                                xstrdup(json_get_string(json, "Token", NULL)), 0};
    const char *expires = json_get_string(json, "Expiration", NULL);
    if (expires)
        (void)clock_parse_iso(expires, &out->expires_ms);
    return credentials_are_complete(out, url, err);
}

/* AWS SDKs send the token in the clear only to these. */
static bool container_is_trusted(const char *url) {
    static const char *const hosts[] = {"https://",
                                        "http://127.0.0.1",
                                        "http://localhost",
                                        "http://[::1]",
                                        "http://169.254.170.2",
                                        "http://169.254.170.23",
                                        "http://[fd00:ec2::23]"};
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(url, hosts[i], length) == 0 && (i == 0 || strchr(":/", url[length])) && !strchr(url, '@'))
            return true;
    }
    return false;
}

static enum outcome from_container(struct credential_source *source, struct credentials *out, struct error *err) {
    const char *relative = environment_get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = environment_get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!relative && !full)
        return ABSENT;
    _cleanup_free_ char *url = relative ? xasprintf("http://169.254.170.2%s", relative) : xstrdup(full);
    if (!container_is_trusted(url)) {
        error_set(err, ERR_STORE_CREDENTIALS,
                  "AWS_CONTAINER_CREDENTIALS_FULL_URI %s must be https or a loopback or container address", url);
        return FAILED;
    }
    const char *path = environment_get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *fixed = environment_get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    _cleanup_buffer_ struct buffer token = {0};
    if (path && !token_read(path, &token, err))
        return FAILED;
    if (!path && fixed)
        buffer_append_text(&token, fixed);
    const struct pair authorization = {"Authorization", token.data};
    _cleanup_http_response_ struct http_response response = {0};
    const struct http_request request = {
        .method = "GET", .url = url, .headers = &authorization, .header_count = token.length > 0, .direct = true};
    return credentials_request(source, &request, &response, err) && credentials_from_json(&response.body, url, out, err)
               ? FOUND
               : FAILED;
}

/* One request to the instance's metadata; quick to give up, since most machines have none. */
static bool instance_request(struct credential_source *source, const char *method, const char *path,
                             const struct pair *header, struct http_response *response) {
    const char *base = environment_get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    size_t length = base ? strlen(base) : 0;
    _cleanup_free_ char *url = base ? xasprintf("%.*s%s", (int)length - (base[length - 1] == '/'), base, path)
                                    : xasprintf("http://169.254.169.254%s", path);
    struct error ignored;
    const struct http_request request = {
        .method = method, .url = url, .headers = header, .header_count = 1, .total_ms = 1000, .direct = true};
    return http_try(source->http, &request, response, &ignored) && response->status == 200 && response->body.length > 0;
}

static enum outcome from_instance(struct credential_source *source, struct credentials *out, struct error *err) {
    static const char *const roles = "/latest/meta-data/iam/security-credentials/";
    const char *disabled = environment_get("AWS_EC2_METADATA_DISABLED");
    _cleanup_http_response_ struct http_response token = {0}, role = {0}, answer = {0};
    const struct pair lifetime = {"X-aws-ec2-metadata-token-ttl-seconds", "21600"};
    if ((disabled && strcasecmp(disabled, "true") == 0) ||
        !instance_request(source, "PUT", "/latest/api/token", &lifetime, &token))
        return ABSENT;
    const struct pair header = {"X-aws-ec2-metadata-token", token.body.data};
    if (!instance_request(source, "GET", roles, &header, &role))
        return ABSENT;
    _cleanup_free_ char *path = xasprintf("%s%.*s", roles, (int)strcspn(role.body.data, "\r\n"), role.body.data);
    if (!instance_request(source, "GET", path, &header, &answer)) {
        error_set(err, ERR_STORE_CREDENTIALS, "the instance metadata gives no credentials at %s", path);
        return FAILED;
    }
    return credentials_from_json(&answer.body, path, out, err) ? FOUND : FAILED;
}

static bool credentials_load(struct credential_source *source, struct credentials *out, struct error *err) {
    enum outcome outcome = from_environment(out);
    if (outcome == ABSENT)
        outcome = from_web_identity(source, out, err);
    if (outcome == ABSENT)
        outcome = from_profile(out, err);
    if (outcome == ABSENT)
        outcome = from_container(source, out, err);
    if (outcome == ABSENT)
        outcome = from_instance(source, out, err);
    if (outcome == ABSENT && cancel_check(http_policy(source->http)->cancel, err))
        error_set(err, ERR_STORE_CREDENTIALS,
                  "no credentials for the object store: tried the environment, web identity, ~/.aws, the container "
                  "endpoint and instance metadata; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a "
                  "role");
    if (outcome != FOUND)
        credentials_clear(out);
    return outcome == FOUND;
}

static bool credentials_are_due(const struct credentials *credentials, int64_t now_ms) {
    return !credentials->access_key || (credentials->expires_ms && credentials->expires_ms - EARLY_MS <= now_ms);
}

static bool credentials_are_valid(const struct credentials *credentials, int64_t now_ms) {
    return credentials->access_key && (!credentials->expires_ms || credentials->expires_ms > now_ms);
}

static int64_t source_now_ms(const struct credential_source *source) {
    return clock_wall_ms(http_policy(source->http)->clock);
}

/* Fetches new ones; the lock is held, but not meanwhile. Where that fails, the old ones serve as long as they are
 * valid: the next call fetches again. */
static bool source_fetch(struct credential_source *source, struct error *err) {
    struct credentials fresh = {0};
    struct error failure;
    source->is_fetching = true;
    pthread_mutex_unlock(&source->lock);
    bool loaded = credentials_load(source, &fresh, &failure);
    pthread_mutex_lock(&source->lock);
    source->is_fetching = false;
    pthread_cond_broadcast(&source->fetched);
    if (loaded) {
        credentials_clear(&source->now);
        source->now = fresh;
    } else if (!credentials_are_valid(&source->now, source_now_ms(source))) {
        *err = failure;
        return false;
    }
    return true;
}

/* Until there is something new to look at, for a moment at most where a flag may end the wait. The lock is held. */
static bool source_wait(struct credential_source *source, struct error *err) {
    const atomic_bool *cancel = http_policy(source->http)->cancel;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += CANCEL_POLL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (cancel)
        pthread_cond_timedwait(&source->fetched, &source->lock, &until);
    else
        pthread_cond_wait(&source->fetched, &source->lock);
    return cancel_check(cancel, err);
}

bool credentials_get(struct credential_source *source, struct credentials *out, struct error *err) {
    pthread_mutex_lock(&source->lock);
    bool ok = true;
    while (ok && source->is_fetching && !credentials_are_valid(&source->now, source_now_ms(source)))
        ok = source_wait(source, err);
    if (ok && !source->is_fetching && credentials_are_due(&source->now, source_now_ms(source)))
        ok = source_fetch(source, err);
    if (ok)
        *out = (struct credentials){xstrdup(source->now.access_key), xstrdup(source->now.secret_key),
                                    xstrdup(source->now.session_token), source->now.expires_ms};
    pthread_mutex_unlock(&source->lock);
    return ok;
}

void credentials_forget(struct credential_source *source, const struct credentials *expired) {
    pthread_mutex_lock(&source->lock);
    if (source->now.access_key && strcmp(source->now.access_key, expired->access_key) == 0)
        credentials_clear(&source->now);
    pthread_mutex_unlock(&source->lock);
}
