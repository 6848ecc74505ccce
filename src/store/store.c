#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/exposition.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/backend.h"
#include "store/file_store.h"
#include "store/key.h"
#include "store/s3_store.h"

static struct store *open_s3(const char *location, const struct store_options *options, struct error *err) {
    size_t length = strcspn(location, "/");
    _cleanup_free_ char *bucket = xstrndup(location, length);
    _cleanup_free_ char *prefix = xstrdup(location[length] ? location + length + 1 : "");
    size_t end = strlen(prefix);
    if (end > 1 && prefix[end - 1] == '/') /* "/" alone is no prefix, and is refused below */
        prefix[end - 1] = '\0';
    if (strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != length || length < 3 || length > 63) {
        error_set(err, ERR_STORE_INVALID_URL, "\"%s\" is not the name of an S3 bucket", bucket);
        return NULL;
    }
    if (*prefix && !key_check(prefix, err)) {
        error_wrap(err, "the prefix in s3://%s", location);
        return NULL;
    }
    return s3_store_open(bucket, prefix, options, err);
}

struct store *store_open(const char *url, const struct store_options *options, struct error *err) {
    struct store *store = NULL;
    if (strncmp(url, "file:///", 8) == 0)
        store = file_store_open(url + 7, err);
    else if (strncmp(url, "s3://", 5) == 0)
        store = open_s3(url + 5, options, err);
    else
        error_set(err, ERR_STORE_INVALID_URL, "\"%s\" is neither file:///absolute/folder nor s3://bucket/prefix", url);
    if (!store)
        return NULL;
    store->url = xstrdup(url);
    store->cancel = options ? options->cancel : NULL;
    for (size_t end = strlen(url); end > 1 && store->url[end - 1] == '/' && store->url[end - 2] != '/'; end--)
        store->url[end - 1] = '\0';
    pthread_mutex_init(&store->siblings_lock, NULL);
    return store;
}

void store_close(struct store *store) {
    for (struct store *sibling = store->siblings, *next; sibling; sibling = next) {
        next = sibling->next;
        store_close(sibling);
    }
    pthread_mutex_destroy(&store->siblings_lock);
    free(store->url);
    store->operations->close(store);
}

struct store *store_sibling(struct store *store, const char *bucket, struct error *err) {
    _cleanup_free_ char *url = xasprintf("s3://%s", bucket);
    if (strcmp(store->url, url) == 0)
        return store;
    pthread_mutex_lock(&store->siblings_lock);
    struct store *sibling = store->siblings;
    while (sibling && strcmp(sibling->url, url) != 0)
        sibling = sibling->next;
    if (!sibling) {
        struct store_options options = s3_store_options(store);
        sibling = store_open(url, &options, err);
        if (sibling) {
            sibling->next = store->siblings;
            store->siblings = sibling;
        }
    }
    pthread_mutex_unlock(&store->siblings_lock);
    return sibling;
}

/* What every operation begins with. */
static bool operation_begin(const struct store *store, const char *key, struct error *err) {
    return key_check(key, err) && cancel_check(store->cancel, err);
}

bool store_get(struct store *store, const char *key, size_t limit, struct buffer *out, struct error *err) {
    struct sink_limit limited = {out, limit};
    size_t before = out->length;
    if (operation_begin(store, key, err) &&
        store->operations->get(store, key, 0, -1, NULL, &(struct sink){sink_write_limited, &limited}, err))
        return true;
    if (out->data)
        out->data[out->length = before] = '\0';
    return err->code == ERR_STORE_TOO_LARGE ? error_wrap(err, "%s/%s, %zu bytes at most", store->url, key, limit)
                                            : false;
}

bool store_get_range(struct store *store, const char *key, int64_t offset, size_t length, struct buffer *out,
                     struct error *err) {
    if (!operation_begin(store, key, err))
        return false;
    if (length == 0)
        return true;
    struct sink_limit limited = {out, length};
    return store->operations->get(store, key, offset, (int64_t)length, NULL,
                                  &(struct sink){sink_write_limited, &limited}, err);
}

bool store_get_file(struct store *store, const char *key, const char *path, struct error *err) {
    if (!operation_begin(store, key, err))
        return false;
    _cleanup_free_ char *temporary = xasprintf("%s.XXXXXX", path);
    _cleanup_close_ int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot create %s", temporary);
    bool ok = store->operations->get(store, key, 0, -1, NULL, &(struct sink){sink_write_descriptor, &descriptor}, err);
    if (ok && (fchmod(descriptor, 0644) != 0 || fsync(descriptor) != 0))
        ok = error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    ok = ok && file_rename(temporary, path, err);
    if (!ok)
        unlink(temporary);
    return ok ? true : error_wrap(err, "%s/%s to %s", store->url, key, path);
}

bool store_put(struct store *store, const char *key, const void *data, size_t length, enum store_flags flags,
               struct error *err) {
    _cleanup_store_writer_ struct store_writer *writer = store_writer_open(store, key, err);
    return writer && store_writer_write(writer, data, length, err) && store_writer_commit(steal(writer), flags, err);
}

bool store_put_file(struct store *store, const char *key, const char *path, enum store_flags flags, struct error *err) {
    _cleanup_fclose_ FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    _cleanup_store_writer_ struct store_writer *writer = store_writer_open(store, key, err);
    if (!writer)
        return false;
    enum { BLOCK = 256 * 1024 };
    _cleanup_free_ char *block = xcalloc(1, BLOCK);
    for (size_t got; (got = fread(block, 1, BLOCK, file)) > 0;)
        if (!store_writer_write(writer, block, got, err))
            return false;
    if (ferror(file))
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    return store_writer_commit(steal(writer), flags, err);
}

bool store_head(struct store *store, const char *key, struct store_stat *stat, struct error *err) {
    return operation_begin(store, key, err) && store->operations->head(store, key, stat, err);
}

bool store_delete(struct store *store, const char *key, struct error *err) {
    return operation_begin(store, key, err) && store->operations->delete(store, key, err);
}

bool store_list(struct store *store, const char *prefix,
                bool (*visit)(const char *key, const struct store_stat *stat, void *context), void *context,
                struct error *err) {
    return cancel_check(store->cancel, err) && store->operations->list(store, prefix, visit, context, err);
}

char *store_presign(struct store *store, const char *method, const char *key, int seconds, struct error *err) {
    return operation_begin(store, key, err) ? store->operations->presign(store, method, key, seconds, err) : NULL;
}

struct store_writer *store_writer_open(struct store *store, const char *key, struct error *err) {
    struct store_writer *writer =
        operation_begin(store, key, err) ? store->operations->writer_open(store, key, err) : NULL;
    if (writer) {
        writer->store = store;
        writer->key = xstrdup(key);
    }
    return writer;
}

bool store_writer_write(struct store_writer *writer, const void *data, size_t length, struct error *err) {
    return cancel_check(writer->store->cancel, err) && writer->store->operations->write(writer, data, length, err);
}

bool store_writer_commit(struct store_writer *writer, enum store_flags flags, struct error *err) {
    bool ok = cancel_check(writer->store->cancel, err) && writer->store->operations->commit(writer, flags, err);
    store_writer_abort(writer);
    return ok;
}

void store_writer_abort(struct store_writer *writer) {
    char *key = writer->key; /* is needed until the end */
    writer->store->operations->writer_free(writer);
    free(key);
}

void store_totals_get(struct store *store, struct store_totals *out) {
    *out = (struct store_totals){store->bytes_read, store->bytes_written, store->requests, store->retries};
    pthread_mutex_lock(&store->siblings_lock);
    for (struct store *sibling = store->siblings; sibling; sibling = sibling->next) {
        out->bytes_read += sibling->bytes_read;
        out->bytes_written += sibling->bytes_written;
        out->requests += sibling->requests;
        out->retries += sibling->retries;
    }
    pthread_mutex_unlock(&store->siblings_lock);
}

void store_metrics(struct store *store, struct buffer *out) {
    struct store_totals totals = {0};
    store_totals_get(store, &totals);
    metric_one(out, "mela_store_read_bytes_total", "counter", "Bytes this process read from the object store.",
               (double)totals.bytes_read);
    metric_one(out, "mela_store_written_bytes_total", "counter", "Bytes this process wrote to the object store.",
               (double)totals.bytes_written);
    metric_one(out, "mela_store_requests_total", "counter", "Requests this process made to the object store.",
               (double)totals.requests);
    metric_one(out, "mela_store_retries_total", "counter", "Requests to the object store that were made again.",
               (double)totals.retries);
}
