#include "cli/campaign/pictures.h"

#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/terminal.h"
#include "farm/farm.h"

struct fetch {
    struct client *client;
    const char *id, *folder;
    json_t *files;
};

static struct campaign *parse_spec(const json_t *spec, struct error *err) {
    _cleanup_json_ json_t *problems = json_array();
    struct campaign *campaign = campaign_parse(spec, json_get_string(spec, "id", ""), problems);
    if (!campaign)
        error_set(err, ERR_SPEC_INVALID, "this version of mela cannot read the campaign's spec");
    return campaign;
}

static bool is_not_there(enum error_code code) {
    return code == ERR_API_NOT_FOUND || code == ERR_QUEUE_NOT_FOUND || code == ERR_STORE_NOT_FOUND;
}

bool pictures_each_record(struct client *client, const json_t *spec,
                          bool (*visit)(const char *job, const json_t *record, void *context, struct error *err),
                          void *context, struct error *err) {
    _cleanup_campaign_ struct campaign *campaign = parse_spec(spec, err);
    size_t count = campaign ? images_job_count(&campaign->images) : 0;
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *job = xasprintf("image/%04zu", i);
        _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/files/%s/record.json", campaign->id, job);
        _cleanup_json_ json_t *record = client_get(client, path, err);
        if (record ? !visit(job, record, context, err) : !is_not_there(err->code))
            return false;
    }
    return campaign;
}

/* Fetches a file of the campaign. `bytes` stands for its bytes in the name of the part. */
static bool fetch_file(const struct fetch *fetch, const char *name, const char *file, const char *bytes,
                       const char *sha256, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/files/%s", fetch->id, name);
    _cleanup_free_ char *part = xasprintf("%s/.%s.part", fetch->folder, bytes);
    _cleanup_(terminal_moved_end) struct transfer_line line = {.label = file};
    const struct client_progress progress = {terminal_moved, terminal_waits, &line};
    const struct client_download download = {path, file, part, sha256, &progress};
    return directory_make(fetch->folder, err) && client_download(fetch->client, &download, err);
}

/* Whether the picture is there already; io when another one has its name. */
static bool picture_is_there(const char *file, const char *sha256, bool *there, struct error *err) {
    char hex[SHA256_HEX + 1];
    *there = access(file, F_OK) == 0;
    if (!*there)
        return true;
    return sha256_file(file, hex, NULL, err) &&
           (strcmp(hex, sha256) == 0 ||
            error_set(err, ERR_IO, "%s is there already and is another picture; give another folder by --output",
                      file));
}

static bool fetch_picture(const struct fetch *fetch, const char *job, const json_t *record, const json_t *picture,
                          struct error *err) {
    long long number = json_get_integer(picture, "number", 0), seed = json_get_integer(picture, "seed", 0);
    const char *sha256 = json_get_string(picture, "sha256", "");
    json_t *cut = json_object_get(record, "cut");
    _cleanup_free_ char *escaped = client_escape(json_get_string(picture, "file", ""), false);
    _cleanup_free_ char *name = xasprintf("%s/%s", job, escaped);
    _cleanup_free_ char *file = xasprintf("%s/%04lld-seed%lld.png", fetch->folder, number, seed);
    bool there;
    if (!is_sha256_hex(sha256))
        return error_set(err, ERR_INTERNAL, "the record of %s has no SHA-256 of its picture %s", job, escaped);
    if (!picture_is_there(file, sha256, &there, err) || (!there && !fetch_file(fetch, name, file, sha256, sha256, err)))
        return false;
    json_array_append_new(fetch->files,
                          json_pack("{s:I,s:I,s:s,s:s,s:O*}", "number", (json_int_t)number, "seed", (json_int_t)seed,
                                    "job", job, "file", file, "cut", json_is_object(cut) ? cut : NULL));
    return true;
}

static bool fetch_record(const char *job, const json_t *record, void *context, struct error *err) {
    size_t i;
    json_t *picture;
    json_array_foreach (json_object_get(record, "pictures"), i, picture)
        if (!fetch_picture(context, job, record, picture, err))
            return false;
    return true;
}

/* A file of the sheet job, if it is there. */
static bool fetch_of_sheet(const struct fetch *fetch, const char *name, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/files/%s", fetch->id, name);
    _cleanup_free_ char *etag = client_etag(fetch->client, path, err);
    if (!etag)
        return is_not_there(err->code);
    _cleanup_free_ char *file = xasprintf("%s/%s", fetch->folder, name);
    if (!fetch_file(fetch, name, file, etag, NULL, err))
        return false;
    json_array_append_new(fetch->files, json_pack("{s:s}", "file", file));
    return true;
}

bool pictures_get(struct client *client, const json_t *spec, const char *folder, json_t *files, struct error *err) {
    struct fetch fetch = {client, json_get_string(spec, "id", ""), folder, files};
    if (!pictures_each_record(client, spec, fetch_record, &fetch, err) || !fetch_of_sheet(&fetch, "sheet.png", err) ||
        !fetch_of_sheet(&fetch, "index.json", err))
        return false;
    return json_array_size(files) ||
           error_set(err, ERR_API_NOT_FOUND, "no picture of %s is done yet; mela watch %s waits for them", fetch.id,
                     fetch.id);
}

void pictures_print(const json_t *files) {
    const char *warned = "";
    size_t i;
    json_t *file;
    json_array_foreach (files, i, file) {
        const json_t *cut = json_object_get(file, "cut");
        const char *job = json_get_string(file, "job", "");
        printf("%s\n", json_get_string(file, "file", ""));
        if (!cut || strcmp(job, warned) == 0)
            continue;
        fprintf(stderr,
                "mela: warning: %lld of %lld tokens of the prompt of %s were cut off: %s (--long-prompts, or "
                "long_prompts in the spec, keeps them)\n",
                (long long)json_get_integer(cut, "cut", 0), (long long)json_get_integer(cut, "tokens", 0), job,
                json_get_string(cut, "text", ""));
        warned = job;
    }
}
