/* GET /v1/campaigns/{id}/files/...: what a campaign made, streamed from the store. */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "recover/receipt.h"
#include "server/download.h"
#include "server/handlers.h"
#include "server/range.h"
#include "server/reply.h"

enum { BLOCK_BYTES = 256 * 1024 };

/* The artifact that the job's receipt names. For campaigns that Redis has forgotten, some time after their end; the
 * store keeps them. NULL with queue.not_found as it stands in *err, or with what the store says. */
static char *receipt_artifact(struct store *store, const struct job_id *job, struct error *err) {
    struct receipt receipt;
    struct error failure;
    bool found;
    if (!receipt_read(store, job, &receipt, &found, &failure)) {
        *err = failure;
        return NULL;
    }
    if (!found)
        return NULL;
    char *artifact = steal(receipt.artifact);
    receipt_clear(&receipt);
    return artifact;
}

/* The files of a campaign that a job published: how their names end, which job it is (what the name begins with, then
 * `job`), and which of its objects. */
static const struct published {
    const char *end, *job;
    enum job_kind kind;
    const char *beside; /* its artifact; NULL: the artifact itself */
    const char *type;
} published[] = {
    {"/final.mp4", "/join", KIND_JOIN, NULL, "video/mp4"},
    {"sheet.png", "sheet", KIND_SHEET, "png", "image/png"},
    {"index.json", "sheet", KIND_SHEET, NULL, "application/json"},
    {"/record.json", "", KIND_IMAGE, NULL, "application/json"},
    {"/thumbs.png", "", KIND_IMAGE, "thumbs.png", "image/png"},
    {"/0.png", "", KIND_IMAGE, "0.png", "image/png"},
    {"/1.png", "", KIND_IMAGE, "1.png", "image/png"},
    {"/2.png", "", KIND_IMAGE, "2.png", "image/png"},
    {"/3.png", "", KIND_IMAGE, "3.png", "image/png"},
};
_Static_assert(IMAGE_HANDFUL == 4, "a row for each picture of a handful");

/* NULL when no file has such a name. */
static const struct published *published_find(const char *campaign, const char *name, struct job_id *job) {
    for (size_t i = 0; i < ARRAY_LENGTH(published); i++) {
        const struct published *file = &published[i];
        size_t length = strlen(name), end = strlen(file->end);
        if (length < end || strcmp(name + length - end, file->end) != 0)
            continue;
        _cleanup_free_ char *id = xasprintf("%s/%.*s%s", campaign, (int)(length - end), name, file->job);
        if (job_id_parse(id, job) && job->kind == file->kind)
            return file;
    }
    return NULL;
}

/* The artifact of a job, whichever attempt won. */
static char *artifact_find(struct request *request, const struct job_id *wanted, struct error *err) {
    char id[JOB_ID_MAX + 1];
    job_id_format(wanted, id);
    struct queue *queue = request_queue(request, err);
    _cleanup_json_ json_t *job = queue ? queue_job(queue, id, err) : NULL;
    if (!job)
        return queue && err->code == ERR_QUEUE_NOT_FOUND ? receipt_artifact(request->api->store, wanted, err) : NULL;
    const char *artifact = json_get_string(job, "artifact", "");
    if (*artifact)
        return xstrdup(artifact);
    error_set(err, ERR_API_NOT_FOUND, "%s is not there: the job that makes it, %s, is %s", request->arguments[1], id,
              json_get_string(job, "state", "not known"));
    return NULL;
}

static char *artifact_key(struct request *request, const char **type, struct error *err) {
    const char *campaign = request->arguments[0], *name = request->arguments[1];
    struct job_id job;
    *type = "application/json";
    if (!campaign_id_is_valid(campaign)) {
        error_set(err, ERR_QUEUE_NOT_FOUND, "no campaign has the id %s", campaign);
        return NULL;
    }
    if (strcmp(name, "spec.json") == 0)
        return layout_spec(campaign);
    if (strcmp(name, "plan.json") == 0)
        return layout_plan(campaign);
    const struct published *file = published_find(campaign, name, &job);
    if (!file) {
        error_set(err, ERR_API_NOT_FOUND,
                  "a campaign's files are spec.json; of dubs plan.json and LANGUAGE/final.mp4; of images sheet.png, "
                  "index.json, and of each job image/NUMBER/record.json, thumbs.png, 0.png to 3.png");
        return NULL;
    }
    *type = file->type;
    _cleanup_free_ char *artifact = artifact_find(request, &job, err);
    return artifact && file->beside ? layout_beside(artifact, file->beside) : steal(artifact);
}

/* An artifact's key names one attempt and is never written twice, so key and size identify the bytes. */
static void artifact_etag(const char *key, const struct store_stat *stat, char etag[40]) {
    _cleanup_free_ char *text = xasprintf("%s\n%" PRId64 "\n%" PRId64, key, stat->size, stat->modified_ms);
    unsigned char hash[SHA256_BYTES];
    sha256_of(text, strlen(text), hash);
    etag[0] = '"';
    hex_encode(hash, 16, etag + 1);
    memcpy(etag + 33, "\"", 2);
}

static bool etag_is_listed(const char *header, const char *etag) {
    return header && (strcmp(header, "*") == 0 || strstr(header, etag));
}

static bool range_refuse(struct request *request, int64_t size) {
    _cleanup_free_ char *range = xasprintf("bytes */%" PRId64, size);
    struct error failure;
    error_set(&failure, ERR_API_RANGE, "the file has %" PRId64 " bytes; the requested range lies behind them", size);
    reply_error(request, &failure);
    reply_header(request, "Content-Range", range);
    return true;
}

static void artifact_reply(struct request *request, char *key, int64_t first, int64_t length, int64_t size, bool part) {
    struct download *download = download_new(request->api->store, key, first, length);
    reply_response(
        request, part ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK,
        MHD_create_response_from_callback((uint64_t)length, BLOCK_BYTES, download_read, download, download_free));
    if (!part)
        return;
    _cleanup_free_ char *range = xasprintf("bytes %" PRId64 "-%" PRId64 "/%" PRId64, first, first + length - 1, size);
    reply_header(request, "Content-Range", range);
}

bool campaign_file(struct request *request, struct error *err) {
    const char *type;
    struct store_stat stat;
    char etag[40];
    int64_t first, length;
    _cleanup_free_ char *key = artifact_key(request, &type, err);
    if (!key || !store_head(request->api->store, key, &stat, err))
        return false;
    artifact_etag(key, &stat, etag);
    const char *if_range = request_header(request, "If-Range");
    bool whole = if_range && strcmp(if_range, etag) != 0;
    enum range_kind kind = range_parse(whole ? NULL : request_header(request, "Range"), stat.size, &first, &length);
    if (etag_is_listed(request_header(request, "If-None-Match"), etag))
        reply_response(request, MHD_HTTP_NOT_MODIFIED,
                       MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
    else if (kind == RANGE_OUTSIDE)
        return range_refuse(request, stat.size);
    else
        artifact_reply(request, steal(key), first, length, stat.size, kind == RANGE_PART);
    reply_header(request, "Content-Type", type);
    reply_header(request, "ETag", etag);
    reply_header(request, "Accept-Ranges", "bytes");
    reply_header(request, "Cache-Control", "private, no-cache");
    return true;
}
