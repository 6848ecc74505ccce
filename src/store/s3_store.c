#include "store/s3_store.h"

#include <string.h>

#include "base/memory.h"
#include "store/key.h"
#include "store/s3_request.h"
#include "store/s3_writer.h"
#include "store/xml.h"

static void s3_close(struct store *store) { s3_bucket_free(s3_bucket_of(store)); }

struct counted {
    const struct sink *sink;
    struct store *store;
};

static bool sink_write_counted(void *context, const void *data, size_t length, struct error *err) {
    struct counted *counted = context;
    counted->store->bytes_read += (int64_t)length;
    return counted->sink->write(counted->sink->context, data, length, err);
}

static bool s3_get(struct store *store, const char *key, int64_t offset, int64_t length, const char *etag,
                   const struct sink *sink, struct error *err) {
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct counted counted = {sink, store};
    const struct sink counting = {sink_write_counted, &counted};
    struct s3_call call = {.method = "GET", .key = key, .sink = &counting, .offset = offset, .count = length};
    if (etag)
        snprintf(call.etag, sizeof call.etag, "%s", etag);
    return s3_send(s3_bucket_of(store), &call, &answer, err);
}

static bool s3_head(struct store *store, const char *key, struct store_stat *stat, struct error *err) {
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    if (!s3_send(s3_bucket_of(store), &(struct s3_call){.method = "HEAD", .key = key}, &answer, err))
        return false;
    *stat = (struct store_stat){answer.http.length, answer.http.modified_ms, ""};
    memcpy(stat->etag, answer.http.etag, sizeof stat->etag);
    return true;
}

static bool s3_delete(struct store *store, const char *key, struct error *err) {
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error failure;
    if (s3_send(s3_bucket_of(store), &(struct s3_call){.method = "DELETE", .key = key}, &answer, &failure) ||
        (answer.http.status == 404 && !(answer.code && strcmp(answer.code, "NoSuchBucket") == 0)))
        return true;
    *err = failure;
    return false;
}

struct listing {
    struct s3_bucket *s3;
    bool (*visit)(const char *key, const struct store_stat *stat, void *context);
    void *context;
};

/* Calls the visitor for one <Contents>; false when it asked to stop. */
static bool listing_visit(const struct listing *list, const char *xml, size_t length) {
    _cleanup_free_ char *key = xml_text(xml, length, "Key"), *size = xml_text(xml, length, "Size"),
                        *modified = xml_text(xml, length, "LastModified"), *etag = xml_text(xml, length, "ETag");
    size_t skip = strlen(list->s3->prefix);
    if (!key || strncmp(key, list->s3->prefix, skip) != 0 || !key_is_valid(key + skip))
        return true; /* such as the "folder/" that some tools make */
    struct store_stat stat = {.size = size ? strtoll(size, NULL, 10) : 0};
    if (modified)
        (void)clock_parse_iso(modified, &stat.modified_ms);
    if (etag)
        snprintf(stat.etag, sizeof stat.etag, "%.*s", (int)strcspn(etag + (*etag == '"'), "\""), etag + (*etag == '"'));
    return list->visit(key + skip, &stat, list->context);
}

/* True when all of the page was visited and *token, now the next page's, is not NULL. */
static bool listing_visit_page(const struct listing *list, const struct buffer *page, char **token) {
    free(steal(*token));
    if (!page->data)
        return false;
    const char *cursor = page->data, *inside;
    for (size_t length; xml_next(&cursor, "Contents", &inside, &length);)
        if (!listing_visit(list, inside, length))
            return false;
    *token = xml_text(page->data, page->length, "NextContinuationToken");
    return *token && **token;
}

static bool s3_list(struct store *store, const char *prefix,
                    bool (*visit)(const char *key, const struct store_stat *stat, void *context), void *context,
                    struct error *err) {
    struct listing list = {s3_bucket_of(store), visit, context};
    _cleanup_free_ char *whole = xasprintf("%s%s", list.s3->prefix, prefix), *token = NULL;
    bool more = true;
    while (more) {
        _cleanup_s3_answer_ struct s3_answer answer = {0};
        const struct pair query[] = {{"list-type", "2"}, {"prefix", whole}, {"continuation-token", token}};
        struct s3_call call = {.method = "GET", .query = query, .query_count = token ? 3 : 2};
        if (!s3_send(list.s3, &call, &answer, err))
            return error_wrap(err, "cannot list %s with the prefix \"%s\"", store->url, prefix);
        more = listing_visit_page(&list, &answer.http.body, &token);
    }
    return true;
}

static char *s3_local_path(struct store *store, const char *key) { return NULL; }

static const struct store_operations s3_operations = {
    .close = s3_close,
    .get = s3_get,
    .head = s3_head,
    .delete = s3_delete,
    .list = s3_list,
    .local_path = s3_local_path,
    .writer_open = s3_writer_open,
    .write = s3_writer_write,
    .commit = s3_writer_commit,
    .writer_free = s3_writer_free,
};

struct store *s3_store_open(const char *bucket, const char *prefix, const struct store_options *options,
                            struct s3_link *link, struct error *err) {
    struct s3_bucket *s3 = s3_bucket_new(bucket, prefix, options, link, err);
    if (!s3)
        return NULL;
    s3->base.operations = &s3_operations;
    return &s3->base;
}

struct store_options s3_store_options(const struct store *store) {
    const struct s3_bucket *s3 = (const struct s3_bucket *)store;
    return store->operations == &s3_operations ? (struct store_options){s3->endpoint, s3->home_region, store->cancel}
                                               : (struct store_options){.cancel = store->cancel};
}

struct s3_link *s3_store_link(const struct store *store) {
    return store->operations == &s3_operations ? ((const struct s3_bucket *)store)->link : NULL;
}

void s3_policy_set(struct store *store, const struct http_policy *policy) {
    struct http_policy changed = *policy;
    changed.cancel = store->cancel;
    http_policy_set(s3_bucket_of(store)->http, &changed);
}
