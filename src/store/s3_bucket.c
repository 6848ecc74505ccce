#include "store/s3_bucket.h"

#include <string.h>

#include "base/memory.h"
#include "store/profile.h"

/* The first of these variables that is set; NULL when none is. */
static const char *first_set(const char *const *names) {
    for (; *names; names++)
        if (getenv(*names) && *getenv(*names))
            return getenv(*names);
    return NULL;
}

static void choose_region(struct s3_bucket *s3, const char *given) {
    _cleanup_free_ char *profile = NULL;
    if (!given)
        given = first_set((const char *const[]){"AWS_REGION", "AWS_DEFAULT_REGION", NULL});
    if (!given)
        given = profile = profile_get("region");
    snprintf(s3->region, sizeof s3->region, "%s", given && *given ? given : "us-east-1");
    s3->home_region = xstrdup(s3->region);
}

/* Splits http(s)://host[:port][/]; the scheme's own port is left out, as clients and servers do in "Host". */
static bool choose_endpoint(struct s3_bucket *s3, const char *given, struct error *err) {
    if (!given)
        given = first_set((const char *const[]){"MELA_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL});
    s3->is_path_style = given || strchr(s3->name, '.');
    s3->scheme = xstrdup(given && strncmp(given, "http://", 7) == 0 ? "http" : "https");
    if (!given)
        return true;
    const char *host = strncmp(given, s3->scheme, strlen(s3->scheme)) == 0 ? strstr(given, "://") : NULL;
    size_t length = host ? strcspn(host + 3, "/?#@") : 0;
    if (length == 0 || (host[3 + length] && strcmp(host + 3 + length, "/") != 0))
        return error_set(err, ERR_STORE_INVALID_URL, "the S3 endpoint \"%s\" is not http(s)://host[:port]", given);
    s3->endpoint = xstrdup(given);
    s3->host = xstrndup(host + 3, length);
    const char *port = s3->scheme[4] ? ":443" : ":80";
    if (length > strlen(port) && strcmp(s3->host + length - strlen(port), port) == 0)
        s3->host[length - strlen(port)] = '\0';
    return true;
}

void s3_bucket_free(struct s3_bucket *s3) {
    s3_link_release(s3->link);
    pthread_mutex_destroy(&s3->lock);
    free(s3->name);
    free(s3->prefix);
    free(s3->endpoint);
    free(s3->scheme);
    free(s3->host);
    free(s3->home_region);
    free(s3);
}

struct s3_bucket *s3_bucket_new(const char *name, const char *prefix, const struct store_options *options,
                                struct s3_link *link, struct error *err) {
    _cleanup_(s3_bucket_free_cleanup) struct s3_bucket *s3 = xnew(struct s3_bucket);
    s3->name = xstrdup(name);
    s3->prefix = *prefix ? xasprintf("%s/", prefix) : xstrdup("");
    pthread_mutex_init(&s3->lock, NULL);
    choose_region(s3, options ? options->region : NULL);
    struct http_policy policy = http_policy_default;
    policy.cancel = options ? options->cancel : NULL;
    s3->link = link ? s3_link_hold(link) : s3_link_new(&policy, s3->home_region);
    s3->http = s3->link->http;
    s3->credentials = s3->link->credentials;
    return choose_endpoint(s3, options ? options->endpoint : NULL, err) ? steal(s3) : NULL;
}

bool s3_bucket_set_region(struct s3_bucket *s3, const char region[40]) {
    pthread_mutex_lock(&s3->lock);
    bool is_news = strcmp(s3->region, region) != 0;
    memcpy(s3->region, region, sizeof s3->region);
    pthread_mutex_unlock(&s3->lock);
    return is_news;
}

void s3_address_init(struct s3_address *address, struct s3_bucket *s3, const char *key) {
    pthread_mutex_lock(&s3->lock);
    memcpy(address->region, s3->region, sizeof address->region);
    pthread_mutex_unlock(&s3->lock);
    const char *china = strncmp(address->region, "cn-", 3) == 0 ? ".cn" : "";
    if (s3->endpoint)
        address->host = xstrdup(s3->host);
    else if (s3->is_path_style)
        address->host = xasprintf("s3.%s.amazonaws.com%s", address->region, china);
    else
        address->host = xasprintf("%s.s3.%s.amazonaws.com%s", s3->name, address->region, china);
    const char *bucket = s3->is_path_style ? s3->name : "";
    address->path =
        key ? xasprintf("/%s%s%s%s", bucket, *bucket ? "/" : "", s3->prefix, key) : xasprintf("/%s", bucket);
}

void s3_address_clear(struct s3_address *address) {
    free(address->host);
    free(address->path);
}

char *s3_address_url(const struct s3_address *address, const struct s3_bucket *s3, const char *query) {
    struct buffer url = {0};
    buffer_appendf(&url, "%s://%s", s3->scheme, address->host);
    uri_encode(&url, address->path, true);
    if (query && *query)
        buffer_appendf(&url, "?%s", query);
    return buffer_steal(&url);
}
