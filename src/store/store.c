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

static struct store *open_s3(const char *location, const struct store_options *options, struct s3_link *link,
                             struct error *err) {
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
    return s3_store_open(bucket, prefix, options, link, err);
}

/* As store_open; an s3:// store shares this link, NULL: it has one of its own. */
static struct store *store_open_linked(const char *url, const struct store_options *options, struct s3_link *link,
                                       struct error *err) {
    struct store *store = NULL;
    if (strncmp(url, "file:///", 8) == 0)
        store = file_store_open(url + 7, err);
    else if (strncmp(url, "s3://", 5) == 0)
        store = open_s3(url + 5, options, link, err);
    else
        error_set(err, ERR_STORE_INVALID_URL, "\"%s\" is neither file:///absolute/folder nor s3://bucket/prefix", url);
    if (!store)
        return NULL;
    store->url = xstrdup(url);
    store->cancel = options ? options->cancel : NULL;
    for (size_t end = strlen(url); end > 1 && store->url[end - 1] == '/' && store->url[end - 2] != '/'; end--)
        store->url[end - 1] = '\0';
    pthread_mutex_init(&store->siblings.lock, NULL);
    return store;
}

struct store *store_open(const char *url, const struct store_options *options, struct error *err) {
    return store_open_linked(url, options, NULL, err);
}

/* The list is no store's any more. */
static void siblings_close(struct store *list) {
    for (struct store *sibling = list, *next; sibling; sibling = next) {
        next = sibling->next;
        store_close(sibling);
    }
}

static void siblings_free(struct siblings *siblings) {
    siblings_close(siblings->first);
    if (siblings->link)
        s3_link_release(siblings->link);
    pthread_mutex_destroy(&siblings->lock);
}

void store_close(struct store *store) {
    siblings_free(&store->siblings);
    free(store->url);
    store->operations->close(store);
}

/* Finds the bucket's store, puts it first and counts one user more; NULL when it is not open. The lock is held. */
static struct store *siblings_take(struct siblings *siblings, const char *url) {
    for (struct store **place = &siblings->first; *place; place = &(*place)->next) {
        struct store *sibling = *place;
        if (strcmp(sibling->url, url) != 0)
            continue;
        *place = sibling->next;
        sibling->next = siblings->first;
        siblings->first = sibling;
        sibling->users++;
        return sibling;
    }
    return NULL;
}

/* Takes those beyond SIBLINGS_MAX that nobody uses out of the list and returns them, to be closed without the lock. The
 * parent keeps what they counted. */
static struct store *siblings_trim(struct store *parent) {
    struct store *out = NULL;
    int kept = 0;
    for (struct store **place = &parent->siblings.first; *place;) {
        struct store *sibling = *place;
        if (++kept <= SIBLINGS_MAX || sibling->users > 0) {
            place = &sibling->next;
            continue;
        }
        parent->bytes_read += sibling->bytes_read;
        parent->bytes_written += sibling->bytes_written;
        parent->requests += sibling->requests;
        parent->retries += sibling->retries;
        *place = sibling->next;
        sibling->next = out;
        out = sibling;
    }
    return out;
}

/* Opens the bucket with the connections and credentials that the siblings share. */
static struct store *sibling_open(struct store *parent, const char *url, struct error *err) {
    struct s3_link *shared = s3_store_link(parent);
    if (!shared) {
        pthread_mutex_lock(&parent->siblings.lock);
        shared = parent->siblings.link;
        pthread_mutex_unlock(&parent->siblings.lock);
    }
    struct store_options options = s3_store_options(parent);
    struct store *sibling = store_open_linked(url, &options, shared, err);
    if (sibling)
        sibling->parent = parent;
    return sibling;
}

/* The lock is held. */
static void siblings_add(struct store *parent, struct store *sibling) {
    if (!s3_store_link(parent) && !parent->siblings.link)
        parent->siblings.link = s3_link_hold(s3_store_link(sibling));
    sibling->next = parent->siblings.first;
    parent->siblings.first = sibling;
    sibling->users = 1;
}

struct store *store_sibling(struct store *store, const char *bucket, struct error *err) {
    _cleanup_free_ char *url = xasprintf("s3://%s", bucket);
    if (strcmp(store->url, url) == 0)
        return store;
    pthread_mutex_lock(&store->siblings.lock);
    struct store *sibling = siblings_take(&store->siblings, url);
    pthread_mutex_unlock(&store->siblings.lock);
    if (sibling)
        return sibling;
    struct store *opened = sibling_open(store, url, err);
    if (!opened)
        return NULL;
    pthread_mutex_lock(&store->siblings.lock);
    sibling = siblings_take(&store->siblings, url); /* another thread may have been quicker */
    if (!sibling)
        siblings_add(store, sibling = steal(opened));
    struct store *dropped = siblings_trim(store);
    pthread_mutex_unlock(&store->siblings.lock);
    siblings_close(dropped);
    if (opened)
        store_close(opened);
    return sibling;
}

void store_release(struct store *store) {
    struct store *parent = store->parent;
    if (!parent)
        return;
    pthread_mutex_lock(&parent->siblings.lock);
    store->users--;
    struct store *dropped = siblings_trim(parent);
    pthread_mutex_unlock(&parent->siblings.lock);
    siblings_close(dropped);
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
    struct sink_limit limited = {out, length};
    return store_stream(store, key, offset, (int64_t)length, sink_write_limited, &limited, err);
}

bool store_stream(struct store *store, const char *key, int64_t offset, int64_t length,
                  bool (*take)(void *context, const void *data, size_t length, struct error *err), void *context,
                  struct error *err) {
    if (!operation_begin(store, key, err))
        return false;
    return length == 0 || store->operations->get(store, key, offset, length, NULL, &(struct sink){take, context}, err);
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
    _cleanup_store_writer_ struct store_writer *writer = store_writer_open(store, key, (int64_t)length, err);
    return writer && store_writer_write(writer, data, length, err) && store_writer_commit(steal(writer), flags, err);
}

bool store_put_file(struct store *store, const char *key, const char *path, enum store_flags flags, struct error *err) {
    _cleanup_fclose_ FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    struct stat info;
    if (fstat(fileno(file), &info) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    _cleanup_store_writer_ struct store_writer *writer = store_writer_open(store, key, info.st_size, err);
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

struct store_writer *store_writer_open(struct store *store, const char *key, int64_t size, struct error *err) {
    struct store_writer *writer =
        operation_begin(store, key, err) ? store->operations->writer_open(store, key, size, err) : NULL;
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
    pthread_mutex_lock(&store->siblings.lock);
    for (struct store *sibling = store->siblings.first; sibling; sibling = sibling->next) {
        out->bytes_read += sibling->bytes_read;
        out->bytes_written += sibling->bytes_written;
        out->requests += sibling->requests;
        out->retries += sibling->retries;
    }
    pthread_mutex_unlock(&store->siblings.lock);
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
