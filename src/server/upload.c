/* PUT and HEAD /v1/files/{sha256}: uploads, content-addressed. Nothing is visible before the hash was
 * checked. */
#include <string.h>

#include "base/memory.h"
#include "server/handlers.h"
#include "server/reply.h"

/* Each may hold four parts of an upload to S3: so many hold 160 MiB, and 210 if each is of 64 GiB. */
enum { UPLOADS_MAX = 8 };

struct upload {
    struct api *api;
    struct store_writer *writer; /* NULL once committed, or after writing failed */
    struct sha256 *hash;
    char *key;
    int64_t bytes;
    struct error failure;
};

void upload_free(struct upload *upload) {
    if (upload->writer)
        store_writer_abort(upload->writer);
    if (upload->hash)
        sha256_free(upload->hash);
    atomic_fetch_sub(&upload->api->uploads, 1);
    free(upload->key);
    free(upload);
}

static char *upload_key(const struct request *request, struct error *err) {
    if (is_sha256_hex(request->arguments[0]))
        return layout_file(request->arguments[0]);
    error_set(err, ERR_API_BAD_REQUEST, "a file is named by its SHA-256: 64 lower-case hex characters");
    return NULL;
}

static bool upload_answer(struct request *request, unsigned status, int64_t bytes) {
    return reply_json(request, status,
                      json_pack("{s:s, s:I}", "sha256", request->arguments[0], "bytes", (json_int_t)bytes));
}

bool upload_head(struct request *request, struct error *err) {
    struct store_stat stat;
    _cleanup_free_ char *key = upload_key(request, err);
    return key && store_head(request->api->store, key, &stat, err) && upload_answer(request, MHD_HTTP_OK, stat.size);
}

/* Makes request->upload, if there is room for one more; `key` is its own then. */
static bool upload_open(struct request *request, char *key, struct error *err) {
    struct api *api = request->api;
    request->upload = xnew(struct upload);
    *request->upload = (struct upload){.api = api, .key = key};
    if (atomic_fetch_add(&api->uploads, 1) >= UPLOADS_MAX) /* upload_free takes it back */
        return error_set(err, ERR_API_BUSY, "the server receives %d uploads already; try again later", UPLOADS_MAX);
    request->upload->writer = store_writer_open(api->store, key, request->content_length, err);
    if (!request->upload->writer)
        return false;
    request->upload->hash = sha256_new();
    return true;
}

bool upload_begin(struct request *request, struct error *err) {
    struct store *store = request->api->store;
    struct store_stat stat;
    struct error cause;
    _cleanup_free_ char *key = upload_key(request, err);
    if (!key)
        return false;
    if (store_head(store, key, &stat, &cause))
        return upload_answer(request, MHD_HTTP_OK, stat.size); /* stored before: the body is not needed */
    if (cause.code != ERR_STORE_NOT_FOUND) {
        *err = cause;
        return false;
    }
    return upload_open(request, steal(key), err);
}

/* libmicrohttpd can send no answer in the middle of a body: after a failure the rest is received and dropped. */
void upload_receive(struct request *request, const void *data, size_t length) {
    struct upload *upload = request->upload;
    upload->bytes += (int64_t)length;
    sha256_update(upload->hash, data, length);
    if (upload->writer && !store_writer_write(upload->writer, data, length, &upload->failure))
        store_writer_abort(steal(upload->writer));
}

bool upload_finish(struct request *request, struct error *err) {
    struct upload *upload = request->upload;
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    if (!upload->writer) {
        *err = upload->failure;
        return false;
    }
    sha256_finish(steal(upload->hash), hash);
    hex_encode(hash, sizeof hash, hex);
    if (strcmp(hex, request->arguments[0]) != 0) {
        store_writer_abort(steal(upload->writer));
        return error_set(err, ERR_STORE_HASH_MISMATCH, "the %lld bytes received have the SHA-256 %s, not %s",
                         (long long)upload->bytes, hex, request->arguments[0]);
    }
    struct error cause;
    /* Another upload of the same bytes may have come first. */
    if (!store_writer_commit(steal(upload->writer), STORE_IF_ABSENT, &cause) && cause.code != ERR_STORE_EXISTS) {
        *err = cause;
        return false;
    }
    return upload_answer(request, MHD_HTTP_CREATED, upload->bytes);
}
