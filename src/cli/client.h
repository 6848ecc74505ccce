/* The farm's API as a command sees it: requests, files, events. A client has one connection and is used by one thread.
 * While it listens to events, requests need another client. */
#pragma once

#include "base/json.h"
#include "cli/cli.h"

struct client;

/* Finds the farm: --address, MELA_ADDRESS or farm.json, else the address that `mela up` wrote into the data
 * directory, else http://127.0.0.1:7420. The key likewise: MELA_KEY or farm.json, --key-file, the data
 * directory's. Connects to nothing yet. NULL with config.invalid, or io when --key-file cannot be read. */
struct client *client_open(struct cli *cli, struct error *err) must_check;
void client_close(struct client *client);
DEFINE_CLEANUP(struct client *, client_close)
#define _cleanup_client_ _cleanup_(client_close_cleanup)
/* "http://127.0.0.1:7420". Borrowed. */
const char *client_address(const struct client *client);

/* Sends a request: `method` on a path such as "/v1/campaigns"; `body` and `idempotency_key` may be NULL. Returns the
 * answer as JSON (JSON null when it has no body), a new reference. NULL with the API's own typed error, or
 * api.unreachable. */
json_t *client_request(struct client *client, const char *method, const char *path, const json_t *body,
                       const char *idempotency_key, struct error *err) must_check;
/* client_request with GET. */
json_t *client_get(struct client *client, const char *path, struct error *err) must_check;
/* Reads all pages of a list, {"items":[...],"next":cursor}, into one array of at most `limit` items (0: all). New
 * reference; errors as client_request. */
json_t *client_get_list(struct client *client, const char *path, size_t limit, struct error *err) must_check;
/* The text with everything but letters, digits and -._~ percent-encoded; '/' too unless `keep_slashes`.
 * Caller frees. */
char *client_escape(const char *text, bool keep_slashes);

/* Reports a transfer's progress: bytes moved so far, and in all (0: not known). */
typedef void client_moved(int64_t moved, int64_t total, void *context);
/* Reports that a transfer failed in a way that may pass, and is made again in so many seconds. */
typedef void client_waits(int seconds, void *context);
/* What a transfer reports to. */
struct client_progress {
    client_moved *moved;
    client_waits *waits;
    void *context;
};
/* Sends a local file to a path by PUT, which must be one that can be repeated. As often as five times it is sent again
 * when the farm is busy or restarts (status 502 to 504; the farm says when, else after 1, 2, 4 ... seconds), or the
 * connection breaks; not when there was none to begin with. False with io, api.unreachable or the API's own error. */
bool client_upload(struct client *client, const char *path, const char *file, const struct client_progress *progress,
                   struct error *err) must_check;
/* Asks by HEAD whether there is something at the path. An answer of 404 is no error: *exists is false. */
bool client_exists(struct client *client, const char *path, bool *exists, struct error *err) must_check;
/* The ETag of what is at the path, by HEAD, without its quotes. Caller frees. NULL with api.not_found when there is
 * nothing. */
char *client_etag(struct client *client, const char *path, struct error *err) must_check;

/* What to fetch, and where to. All strings are borrowed. */
struct client_download {
    const char *path;   /* of the API */
    const char *file;   /* appears whole or not at all */
    const char *part;   /* where the file grows, on the same file system. What an interrupted run left there is
                         * continued, so its name must stand for this very object */
    const char *sha256; /* 64 hex digits that the bytes must have; NULL: not known */
    const struct client_progress *progress;
};
/* Goes on where it broke off, as often as client_upload. store.hash_mismatch when the bytes are others; then the part
 * is removed too. */
bool client_download(struct client *client, const struct client_download *download, struct error *err) must_check;

struct client_listener {
    /* One event; false ends the stream. `data` is borrowed. */
    bool (*event)(const char *type, const json_t *data, void *context);
    /* About once a second, also while the farm does not answer (`connected` false); false ends the stream. */
    bool (*tick)(bool connected, void *context);
    void *context;
};
/* Listens to server-sent events until the listener ends it (true). When the connection breaks it connects again with
 * Last-Event-ID, so that no event is lost. False with api.unreachable after two minutes without an answer, or at once
 * with the API's error when that will not pass (status 400 to 499). */
bool client_listen(struct client *client, const char *path, const struct client_listener *listener,
                   struct error *err) must_check;
