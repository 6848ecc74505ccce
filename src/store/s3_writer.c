/* Writing to S3: one PUT up to 16 MiB, beyond that a multipart upload whose parts a few threads send while the next one
 * is filled. So it holds four parts at most, 20 MiB for up to 48 GiB. */
#include "store/s3_writer.h"

#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "store/s3_request.h"
#include "store/xml.h"

enum { SINGLE_MAX = 16 << 20, SENDERS = 3, PART_MIN = 5 << 20, PARTS_MAX = 10000 /* the last two: S3's limits */ };

/* A thread and the part that it sends. */
struct sender {
    struct s3_writer *writer;
    pthread_t thread;
    bool is_running;
    int number; /* the part's, from 1 */
    struct buffer bytes;
};

struct s3_writer {
    struct store_writer base;
    char write_id[33];
    int64_t left; /* how many of the announced bytes have not come yet; below 0: more came */
    size_t part_size;
    struct buffer pending; /* the part that is filled */
    char *upload_id;       /* NULL: no multipart upload was begun, or it is complete */
    int part_count;        /* the writer's own thread only; senders know their part's number */
    struct sender senders[SENDERS];
    /* Guards what follows, between the writer's thread and the senders. Nothing that waits is called while it is
     * held. */
    pthread_mutex_t lock;
    char **etags; /* by part number - 1; NULL: not sent yet */
    bool failed;
    struct error failure; /* the first */
};

static struct s3_bucket *bucket_of(const struct s3_writer *writer) { return s3_bucket_of(writer->base.store); }

/* So large that all fits into one PUT, or 10,000 parts. */
static size_t part_size(int64_t size) {
    return size <= SINGLE_MAX ? SINGLE_MAX : (size_t)MAX((int64_t)PART_MIN, (size + PARTS_MAX - 1) / PARTS_MAX);
}

struct store_writer *s3_writer_open(struct store *store, const char *key, int64_t size, struct error *err) {
    struct s3_writer *writer = xnew(struct s3_writer);
    random_text(writer->write_id, sizeof writer->write_id - 1);
    writer->left = size;
    writer->part_size = part_size(size);
    pthread_mutex_init(&writer->lock, NULL);
    return &writer->base;
}

static void part_record(struct s3_writer *writer, int number, const char *etag, const struct error *failure) {
    pthread_mutex_lock(&writer->lock);
    if (etag)
        writer->etags[number - 1] = xstrdup(etag);
    else if (!writer->failed)
        writer->failure = *failure;
    writer->failed |= !etag;
    pthread_mutex_unlock(&writer->lock);
}

static bool writer_has_failed(struct s3_writer *writer, struct error *err) {
    pthread_mutex_lock(&writer->lock);
    bool failed = writer->failed;
    if (failed && err)
        *err = writer->failure;
    pthread_mutex_unlock(&writer->lock);
    return failed;
}

/* A sender's thread. */
static void *part_send(void *context) {
    struct sender *sender = context;
    struct s3_writer *writer = sender->writer;
    char number[16];
    snprintf(number, sizeof number, "%d", sender->number);
    const struct pair query[] = {{"partNumber", number}, {"uploadId", writer->upload_id}};
    struct s3_call call = {.method = "PUT",
                           .key = writer->base.key,
                           .query = query,
                           .query_count = 2,
                           .body = sender->bytes.data,
                           .length = sender->bytes.length};
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error failure;
    bool ok = s3_send(bucket_of(writer), &call, &answer, &failure);
    if (ok && !*answer.http.etag)
        ok = error_set(&failure, ERR_STORE_UNAVAILABLE, "the server gave no ETag for a part of %s", writer->base.key);
    if (ok)
        writer->base.store->bytes_written += (int64_t)call.length;
    part_record(writer, sender->number, ok ? answer.http.etag : NULL, &failure);
    buffer_free(&sender->bytes);
    return NULL;
}

static bool upload_start(struct s3_writer *writer, struct error *err) {
    const struct pair query = {"uploads", ""};
    struct s3_call call = {.method = "POST",
                           .key = writer->base.key,
                           .query = &query,
                           .query_count = 1,
                           .body = "",
                           .write_id = writer->write_id};
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    if (!s3_send(bucket_of(writer), &call, &answer, err))
        return false;
    writer->upload_id =
        xml_text(answer.http.body.data ? answer.http.body.data : "", answer.http.body.length, "UploadId");
    if (!writer->upload_id)
        return error_set(err, ERR_STORE_UNAVAILABLE, "the server gave no id for the upload of %s", writer->base.key);
    return true;
}

static void sender_wait(struct sender *sender) {
    if (sender->is_running)
        pthread_join(sender->thread, NULL);
    sender->is_running = false;
}

static void etags_grow(struct s3_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    writer->etags = xreallocarray(writer->etags, (size_t)writer->part_count, sizeof *writer->etags);
    writer->etags[writer->part_count - 1] = NULL;
    pthread_mutex_unlock(&writer->lock);
}

/* Gives the pending bytes to the sender whose turn it is; waits until that has sent its last part. */
static bool part_push(struct s3_writer *writer, struct error *err) {
    struct sender *sender = &writer->senders[writer->part_count % SENDERS];
    if (!writer->upload_id && !upload_start(writer, err))
        return false;
    sender_wait(sender);
    if (writer_has_failed(writer, err))
        return false;
    if (writer->part_count == PARTS_MAX)
        return error_set(err, ERR_STORE_TOO_LARGE, "%s is larger than 10,000 parts hold", writer->base.key);
    writer->part_count++;
    etags_grow(writer);
    *sender = (struct sender){.writer = writer, .number = writer->part_count, .bytes = writer->pending};
    writer->pending = (struct buffer){0};
    sender->is_running = thread_start(&sender->thread, "s3 upload", part_send, sender, err);
    return sender->is_running;
}

bool s3_writer_write(struct store_writer *base, const void *data, size_t length, struct error *err) {
    struct s3_writer *writer = (struct s3_writer *)base;
    for (size_t done = 0, step; done < length; done += step) {
        if (writer->pending.length == writer->part_size && !part_push(writer, err))
            return false;
        step = MIN(length - done, writer->part_size - writer->pending.length);
        if (writer->pending.length == 0 && writer->left > 0)
            buffer_reserve(&writer->pending, (size_t)MIN(writer->left, (int64_t)writer->part_size));
        buffer_append(&writer->pending, (const char *)data + done, step);
        writer->left -= (int64_t)step;
    }
    return true;
}

/* True when a write that the server refused is in the store all the same: its first try may have succeeded with the
 * answer lost, and what was refused is the second, sent by s3_send or by libcurl. The write's id tells. */
static bool writer_settle(struct s3_writer *writer, const struct s3_answer *answer, const struct error *failure,
                          struct error *err) {
    bool refused = answer->http.status == 412 || answer->http.status == 404;
    if (refused && s3_wrote(bucket_of(writer), writer->base.key, writer->write_id))
        return true;
    *err = *failure;
    return false;
}

static bool writer_put_single(struct s3_writer *writer, enum store_flags flags, struct error *err) {
    struct s3_call call = {.method = "PUT",
                           .key = writer->base.key,
                           .body = writer->pending.data ? writer->pending.data : "",
                           .length = writer->pending.length,
                           .if_absent = flags & STORE_IF_ABSENT,
                           .write_id = writer->write_id};
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error failure;
    if (!s3_send(bucket_of(writer), &call, &answer, &failure) && !writer_settle(writer, &answer, &failure, err))
        return false;
    writer->base.store->bytes_written += (int64_t)call.length;
    return true;
}

static void senders_wait(struct s3_writer *writer) {
    for (int i = 0; i < SENDERS; i++)
        sender_wait(&writer->senders[i]);
}

static bool upload_complete(struct s3_writer *writer, enum store_flags flags, struct error *err) {
    _cleanup_buffer_ struct buffer body = {0};
    buffer_append_text(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (int i = 0; i < writer->part_count; i++)
        buffer_appendf(&body, "<Part><PartNumber>%d</PartNumber><ETag>\"%s\"</ETag></Part>", i + 1, writer->etags[i]);
    buffer_append_text(&body, "</CompleteMultipartUpload>");
    const struct pair query = {"uploadId", writer->upload_id};
    struct s3_call call = {.method = "POST",
                           .key = writer->base.key,
                           .query = &query,
                           .query_count = 1,
                           .body = body.data,
                           .length = body.length,
                           .if_absent = flags & STORE_IF_ABSENT};
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error failure;
    if (!s3_send(bucket_of(writer), &call, &answer, &failure) && !writer_settle(writer, &answer, &failure, err))
        return false;
    free(steal(writer->upload_id));
    return true;
}

bool s3_writer_commit(struct store_writer *base, enum store_flags flags, struct error *err) {
    struct s3_writer *writer = (struct s3_writer *)base;
    if (!writer->upload_id)
        return writer_put_single(writer, flags, err);
    if (!part_push(writer, err)) /* never empty: a part is pushed when the next byte comes */
        return false;
    senders_wait(writer);
    return !writer_has_failed(writer, err) && upload_complete(writer, flags, err);
}

/* Best effort: a lifecycle rule of the bucket removes what stays. */
static void upload_abort(struct s3_writer *writer) {
    const struct pair query = {"uploadId", writer->upload_id};
    struct s3_call call = {.method = "DELETE", .key = writer->base.key, .query = &query, .query_count = 1};
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error ignored;
    (void)!s3_send(bucket_of(writer), &call, &answer, &ignored);
}

void s3_writer_free(struct store_writer *base) {
    struct s3_writer *writer = (struct s3_writer *)base;
    senders_wait(writer);
    for (int i = 0; i < SENDERS; i++)
        buffer_free(&writer->senders[i].bytes); /* of one whose thread was refused */
    if (writer->upload_id)
        upload_abort(writer);
    for (int i = 0; i < writer->part_count; i++)
        free(writer->etags[i]);
    free(writer->etags);
    free(writer->upload_id);
    buffer_free(&writer->pending);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}
