#include "server/download.h"

#include <microhttpd.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/ring.h"
#include "base/thread.h"

enum {
    /* What one request to the store asks for. Each has retries of its own, so that a long film survives more broken
     * connections than a request may have. */
    REQUEST_BYTES = 64 << 20,
    PIECES = 16, /* that wait for the client; each is what libcurl hands over at a time, up to 16 KiB */
};

/* One that is as large as the store's reads: 16 KiB from S3. */
struct piece {
    struct buffer bytes;
    size_t done;
};

struct download {
    struct store *store;
    char *key;
    int64_t position, end; /* of the thread */
    struct ring *pieces;   /* closed by the thread at its end, aborted by download_free */
    struct piece *current; /* NULL: to be popped; of the reader, as the next */
    bool is_running;
    pthread_t thread;
};

struct download *download_new(struct store *store, char *key, int64_t first, int64_t length) {
    struct download *download = xnew(struct download);
    download->store = store;
    download->key = key;
    download->position = first;
    download->end = first + length;
    download->pieces = ring_new(PIECES);
    return download;
}

static void piece_free(struct piece *piece) {
    buffer_free(&piece->bytes);
    free(piece);
}

/* Hands bytes over; waits for the client. */
static bool download_push(void *context, const void *data, size_t length, struct error *err) {
    struct download *download = context;
    struct piece *piece = xnew(struct piece);
    buffer_append(&piece->bytes, data, length);
    if (!ring_push(download->pieces, piece)) {
        piece_free(piece);
        return error_set(err, ERR_CANCELLED, "the client has left");
    }
    download->position += (int64_t)length;
    return true;
}

static void *download_thread(void *context) {
    struct download *download = context;
    struct error err;
    while (download->position < download->end) {
        int64_t before = download->position, length = MIN(download->end - before, (int64_t)REQUEST_BYTES);
        bool fetched = store_stream(download->store, download->key, before, length, download_push, download, &err);
        if (!fetched && err.code != ERR_CANCELLED)
            log_write(NULL, LOG_WARN, "a download breaks off: %s", err.message);
        if (!fetched || download->position != before + length)
            break;
    }
    ring_close(download->pieces);
    return NULL;
}

ssize_t download_read(void *context, uint64_t position, char *out, size_t capacity) {
    struct download *download = context;
    struct error refused;
    if (!download->is_running)
        download->is_running = thread_start(&download->thread, "download", download_thread, download, &refused);
    if (download->is_running && !download->current)
        download->current = ring_pop(download->pieces);
    struct piece *piece = download->current;
    if (!piece)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = MIN(capacity, piece->bytes.length - piece->done);
    memcpy(out, piece->bytes.data + piece->done, length);
    piece->done += length;
    if (piece->done == piece->bytes.length)
        piece_free(steal(download->current));
    return (ssize_t)length;
}

void download_free(void *context) {
    struct download *download = context;
    ring_abort(download->pieces);
    if (download->is_running)
        pthread_join(download->thread, NULL);
    for (struct piece *piece; (piece = ring_drain(download->pieces));)
        piece_free(piece);
    if (download->current)
        piece_free(download->current);
    ring_free(download->pieces);
    free(download->key);
    free(download);
}
