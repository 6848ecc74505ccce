/* Writing to S3: one PUT up to 16 MiB, beyond that a multipart upload whose parts a few threads send while
 * the next ones are written. */
#include "store/s3_writer.h"

#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/ring.h"
#include "base/thread.h"
#include "store/s3_request.h"
#include "store/xml.h"

enum { SINGLE_MAX = 16 << 20, SENDERS = 4, PARTS_MAX = 10000 /* S3's limit */ };

struct part {
    int number; /* from 1 */
    void *data;
    size_t length;
};

struct s3_writer {
    struct store_writer base;
    char write_id[33];
    struct buffer pending;
    char *upload_id; /* NULL: no multipart upload was begun, or it is complete */
    struct ring *parts;
    pthread_t senders[SENDERS];
    int sender_count, part_count; /* the writer's own thread only; senders know their part's number */
    /* Guards what follows, between the writer's thread and the senders. Nothing that waits is called while it is
     * held. */
    pthread_mutex_t lock;
    char **etags; /* by part number - 1; NULL: not sent yet */
    bool failed;
    struct error failure; /* the first */
};

static struct s3_bucket *bucket_of(const struct s3_writer *writer) { return s3_bucket_of(writer->base.store); }

/* 8 MiB for the first 39 GiB, then more, so that 10,000 parts hold 650 GiB. */
static size_t part_size(int number) { return number <= PARTS_MAX / 2 ? 8 << 20 : 128 << 20; }

struct store_writer *s3_writer_open(struct store *store, const char *key, struct error *err) {
    struct s3_writer *writer = xnew(struct s3_writer);
    random_text(writer->write_id, sizeof writer->write_id - 1);
    pthread_mutex_init(&writer->lock, NULL);
    return &writer->base;
}

static void part_free(struct part *part) {
    free(part->data);
    free(part);
}

static void part_record(struct s3_writer *writer, const struct part *part, const char *etag,
                        const struct error *failure) {
    pthread_mutex_lock(&writer->lock);
    if (etag)
        writer->etags[part->number - 1] = xstrdup(etag);
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

static void part_send(struct s3_writer *writer, const struct part *part) {
    char number[16];
    snprintf(number, sizeof number, "%d", part->number);
    const struct pair query[] = {{"partNumber", number}, {"uploadId", writer->upload_id}};
    struct s3_call call = {.method = "PUT",
                           .key = writer->base.key,
                           .query = query,
                           .query_count = 2,
                           .body = part->data,
                           .length = part->length};
    _cleanup_s3_answer_ struct s3_answer answer = {0};
    struct error failure;
    bool ok = s3_send(bucket_of(writer), &call, &answer, &failure);
    if (ok && !*answer.http.etag)
        ok = error_set(&failure, ERR_STORE_UNAVAILABLE, "the server gave no ETag for a part of %s", writer->base.key);
    if (ok)
        writer->base.store->bytes_written += (int64_t)part->length;
    part_record(writer, part, ok ? answer.http.etag : NULL, &failure);
}

static void *parts_send(void *context) {
    struct s3_writer *writer = context;
    for (struct part *part; (part = ring_pop(writer->parts)); part_free(part))
        if (!writer_has_failed(writer, NULL))
            part_send(writer, part);
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
    writer->parts = ring_new(1);
    struct error refused; /* fewer senders than wanted will do */
    while (writer->sender_count < SENDERS &&
           thread_start(&writer->senders[writer->sender_count], "s3 upload", parts_send, writer, &refused))
        writer->sender_count++;
    if (writer->sender_count == 0)
        *err = refused;
    return writer->sender_count > 0;
}

/* Queues the first `length` pending bytes for the senders; waits while all of them are busy. */
static bool part_push(struct s3_writer *writer, size_t length, struct error *err) {
    if (writer_has_failed(writer, err))
        return false;
    if (writer->part_count == PARTS_MAX)
        return error_set(err, ERR_STORE_TOO_LARGE, "%s is larger than 10,000 parts hold", writer->base.key);
    struct part *part = xnew(struct part);
    *part = (struct part){++writer->part_count, xcalloc(1, length), length};
    memcpy(part->data, writer->pending.data, length);
    writer->pending.length -= length;
    memmove(writer->pending.data, writer->pending.data + length, writer->pending.length);
    pthread_mutex_lock(&writer->lock);
    writer->etags = xreallocarray(writer->etags, (size_t)writer->part_count, sizeof *writer->etags);
    writer->etags[writer->part_count - 1] = NULL;
    pthread_mutex_unlock(&writer->lock);
    ring_push(writer->parts, part);
    return true;
}

bool s3_writer_write(struct store_writer *base, const void *data, size_t length, struct error *err) {
    struct s3_writer *writer = (struct s3_writer *)base;
    for (size_t done = 0, step; done < length; done += step) {
        step = MIN(length - done, (size_t)1 << 20);
        buffer_append(&writer->pending, (const char *)data + done, step);
        if (!writer->upload_id && writer->pending.length > SINGLE_MAX && !upload_start(writer, err))
            return false;
        while (writer->upload_id && writer->pending.length >= part_size(writer->part_count + 1))
            if (!part_push(writer, part_size(writer->part_count + 1), err))
                return false;
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

static void stop_senders(struct s3_writer *writer) {
    for (; writer->sender_count > 0; writer->sender_count--)
        pthread_join(writer->senders[writer->sender_count - 1], NULL);
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
    if (writer->pending.length > 0 && !part_push(writer, writer->pending.length, err))
        return false;
    ring_close(writer->parts);
    stop_senders(writer);
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
    if (writer->parts) {
        ring_abort(writer->parts);
        stop_senders(writer);
        for (struct part *part; (part = ring_drain(writer->parts));)
            part_free(part);
        ring_free(writer->parts);
    }
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
