#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

struct client {
    struct cli *cli;
    CURL *curl;
    char *address, *authorization;
    char reason[CURL_ERROR_SIZE]; /* why the latest transfer failed, in curl's words */
};

enum {
    ANSWER_MAX = 256 << 20, /* bytes */
    CONNECT_TIMEOUT_MS = 5000,
    STALL_SECONDS = 60, /* without a byte either way; the server's heartbeat comes every 15 */
    REPEATS_MAX = 5,    /* of a transfer */
    REPEAT_WAIT_MAX_S = 60,
    LISTEN_PATIENCE_MS = 120000, /* how long a farm may be away while we listen: it is being restarted */
    RECONNECT_MS = 1000
};

DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

/* ---- where the farm is, and the key ---- */

/* The first line of a small file. Caller frees. */
static char *read_word(const char *path, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, 4096, &text, err))
        return NULL;
    return xstrndup(text.data, strcspn(text.data, "\r\n"));
}

static char *find_address(const struct config *config, const char *data) {
    _cleanup_free_ char *path = data ? xasprintf("%s/address", data) : NULL;
    struct error none;
    char *local = path && config_is_default(config, "address") ? read_word(path, &none) : NULL;
    return local ? local : xstrdup(config_get(config, "address"));
}

/* Without a key the farm itself shall say that it wants one: then *key is NULL, and that is no error. */
static bool find_key(struct cli *cli, const struct config *config, const char *data, char **key, struct error *err) {
    const char *file = cli_value(cli, "key-file"), *given = config_get(config, "key");
    _cleanup_free_ char *local = data ? xasprintf("%s/key", data) : NULL;
    struct error none;
    if (file)
        return (*key = read_word(file, err)) != NULL;
    *key = given ? xstrdup(given) : local ? read_word(local, &none) : NULL;
    return true;
}

struct client *client_open(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    struct error no_home; /* without HOME no farm of this machine is found, but another may be */
    _cleanup_free_ char *data = config ? cli_data_directory(cli, &no_home) : NULL, *key = NULL;
    if (!config || !find_key(cli, config, data, &key, err))
        return NULL;
    _cleanup_client_ struct client *client = xnew(struct client);
    client->cli = cli;
    client->address = find_address(config, data);
    client->authorization = key ? xasprintf("Authorization: Bearer %s", key) : NULL;
    for (size_t end = strlen(client->address); end > 0 && client->address[end - 1] == '/'; end--)
        client->address[end - 1] = '\0';
    client->curl = curl_easy_init();
    if (!client->curl) {
        error_set(err, ERR_INTERNAL, "libcurl cannot be set up");
        return NULL;
    }
    return steal(client);
}

void client_close(struct client *client) {
    curl_easy_cleanup(client->curl);
    free(client->address);
    free(client->authorization);
    free(client);
}

const char *client_address(const struct client *client) { return client->address; }

char *client_escape(const char *text, bool keep_slashes) {
    _cleanup_buffer_ struct buffer out = {0};
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~", c) ||
                     (keep_slashes && c == '/');
        buffer_appendf(&out, plain ? "%c" : "%%%02X", c);
    }
    return buffer_steal(&out);
}

/* ---- one request ---- */

struct answer {
    struct buffer body;
    long status;
    CURLcode code; /* why there is no status, or not the whole answer; CURLE_OK: neither */
};

static void answer_free(struct answer *answer) { buffer_free(&answer->body); }

static size_t answer_collect(char *data, size_t size, size_t count, void *context) {
    struct answer *answer = context;
    if (answer->body.length + count > ANSWER_MAX)
        return 0;
    buffer_append(&answer->body, data, count);
    return count;
}

static void add_header(struct curl_slist **headers, const char *header) {
    if (header)
        *headers = curl_slist_append(*headers, header);
}

/* Sets the handle up for `method` on `path`. `headers` must live until the transfer has ended. */
static void client_prepare(struct client *client, const char *method, const char *path, struct curl_slist **headers) {
    CURL *curl = client->curl;
    _cleanup_free_ char *url = xasprintf("%s%s", client->address, path);
    curl_easy_reset(curl);
    client->reason[0] = '\0';
    add_header(headers, client->authorization);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mela/" MELA_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
}

static bool client_unreachable(const struct client *client, CURLcode code, struct error *err) {
    return error_set(err, ERR_API_UNREACHABLE, "the farm at %s does not answer (%s); is mela up or mela serve running?",
                     client->address, client->reason[0] ? client->reason : curl_easy_strerror(code));
}

/* The code for an answer that carries no error object, such as one to HEAD. */
static enum error_code code_of_status(long status) {
    switch (status) {
    case 401:
        return ERR_API_UNAUTHORIZED;
    case 403:
        return ERR_API_FORBIDDEN;
    case 404:
        return ERR_API_NOT_FOUND;
    default:
        return status >= 500 ? ERR_API_UNREACHABLE : ERR_API_BAD_REQUEST;
    }
}

/* Sets *err from an answer of 400 or more. */
static bool client_refused(struct client *client, const struct answer *answer, struct error *err) {
    struct error none;
    _cleanup_json_ json_t *body =
        answer->body.length ? json_parse(answer->body.data, answer->body.length, &none) : NULL;
    const json_t *error = json_object_get(body, "error");
    const char *code = json_get_string(error, "code", NULL);
    if (!code)
        return error_set(err, code_of_status(answer->status), "the farm at %s answered with HTTP status %ld",
                         client->address, answer->status);
    json_t *details = json_object_get(error, "details");
    if (json_array_size(details))
        cli_set_details(client->cli, details);
    return error_set(err, error_from_name(code), "%s", json_get_string(error, "message", "no message"));
}

/* Runs what client_prepare set up; true when the answer's status is below 400. */
static bool client_perform(struct client *client, struct answer *answer, struct error *err) {
    answer->code = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (answer->status >= 400) /* first, since a farm that refuses an upload closes the connection too */
        return client_refused(client, answer, err);
    return answer->code == CURLE_OK || client_unreachable(client, answer->code, err);
}

json_t *client_request(struct client *client, const char *method, const char *path, const json_t *body,
                       const char *idempotency_key, struct error *err) {
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = NULL;
    _cleanup_free_ char *text = body ? json_line(body) : NULL, *once = NULL;
    _cleanup_(answer_free) struct answer answer = {0};
    if (idempotency_key)
        add_header(&headers, once = xasprintf("Idempotency-Key: %s", idempotency_key));
    if (body)
        add_header(&headers, "Content-Type: application/json");
    client_prepare(client, method, path, &headers);
    if (body || strcmp(method, "POST") == 0)
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text ? text : "");
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, answer_collect);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &answer);
    if (!client_perform(client, &answer, err))
        return NULL;
    if (answer.body.length == 0)
        return json_null();
    json_t *result = json_parse(answer.body.data, answer.body.length, err);
    if (!result)
        error_wrap(err, "the answer of %s to %s %s", client->address, method, path);
    return result;
}

json_t *client_get(struct client *client, const char *path, struct error *err) {
    return client_request(client, "GET", path, NULL, NULL, err);
}

json_t *client_get_list(struct client *client, const char *path, size_t limit, struct error *err) {
    _cleanup_json_ json_t *all = json_array();
    _cleanup_free_ char *cursor = NULL;
    do {
        _cleanup_free_ char *escaped = cursor ? client_escape(cursor, false) : NULL;
        _cleanup_free_ char *url = xasprintf("%s%slimit=100%s%s", path, strchr(path, '?') ? "&" : "?",
                                             escaped ? "&cursor=" : "", escaped ? escaped : "");
        _cleanup_json_ json_t *page = client_get(client, url, err);
        if (!page)
            return NULL;
        json_array_extend(all, json_object_get(page, "items"));
        free(cursor);
        cursor = xstrdup(json_get_string(page, "next", NULL));
    } while (cursor && (limit == 0 || json_array_size(all) < limit));
    while (limit && json_array_size(all) > limit)
        json_array_remove(all, limit);
    return steal(all);
}

/* ---- files ---- */

struct transfer {
    FILE *file;
    CURL *curl;
    struct answer answer; /* what comes with an error status */
    int64_t offset;
    const struct client_progress *progress;
    int repeats;
};

static void transfer_free(struct transfer *transfer) { answer_free(&transfer->answer); }

static int transfer_moved(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up) {
    const struct transfer *transfer = context;
    if (down || up)
        transfer->progress->moved(transfer->offset + MAX(down, up), MAX(down_total, up_total) + transfer->offset,
                                  transfer->progress->context);
    return 0;
}

/* True for a failure that may pass. A farm that never answered is not waited for, but one that did may be restarting.
 */
static bool transfer_may_repeat(const struct transfer *transfer) {
    if (transfer->answer.status >= 400)
        return transfer->answer.status >= 502 && transfer->answer.status <= 504;
    switch (transfer->answer.code) {
    case CURLE_COULDNT_CONNECT:
        return transfer->repeats > 0;
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return true;
    default:
        return false;
    }
}

/* After a failure: waits and returns true when the transfer is to be made again. */
static bool transfer_repeats(struct transfer *transfer) {
    curl_off_t wanted_s = 0;
    if (transfer->repeats == REPEATS_MAX || !transfer_may_repeat(transfer))
        return false;
    curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &wanted_s);
    int wait_s = (int)MIN(wanted_s > 0 ? wanted_s : (curl_off_t)1 << transfer->repeats, (curl_off_t)REPEAT_WAIT_MAX_S);
    transfer->repeats++;
    transfer->progress->waits(wait_s, transfer->progress->context);
    clock_sleep_ms(clock_system(), wait_s * 1000LL);
    return true;
}

static void transfer_watch(struct transfer *transfer) {
    curl_easy_setopt(transfer->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(transfer->curl, CURLOPT_XFERINFOFUNCTION, transfer_moved);
    curl_easy_setopt(transfer->curl, CURLOPT_XFERINFODATA, transfer);
}

bool client_exists(struct client *client, const char *path, bool *exists, struct error *err) {
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = NULL;
    _cleanup_(answer_free) struct answer answer = {0};
    client_prepare(client, "HEAD", path, &headers);
    curl_easy_setopt(client->curl, CURLOPT_NOBODY, 1L);
    *exists = client_perform(client, &answer, err);
    return *exists || answer.status == 404;
}

char *client_etag(struct client *client, const char *path, struct error *err) {
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = NULL;
    _cleanup_(answer_free) struct answer answer = {0};
    struct curl_header *etag;
    client_prepare(client, "HEAD", path, &headers);
    curl_easy_setopt(client->curl, CURLOPT_NOBODY, 1L);
    if (!client_perform(client, &answer, err))
        return NULL;
    if (curl_easy_header(client->curl, "ETag", 0, CURLH_HEADER, -1, &etag) != CURLHE_OK) {
        error_set(err, ERR_INTERNAL, "the farm at %s sends no ETag for %s", client->address, path);
        return NULL;
    }
    const char *start = etag->value + strspn(etag->value, "\"");
    return xstrndup(start, strcspn(start, "\""));
}

static bool transfer_send(struct client *client, const char *path, struct transfer *transfer, struct error *err) {
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = NULL;
    struct stat info;
    if (fstat(fileno(transfer->file), &info) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read it");
    rewind(transfer->file);
    answer_free(&transfer->answer);
    client_prepare(client, "PUT", path, &headers);
    curl_easy_setopt(client->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(client->curl, CURLOPT_READDATA, transfer->file);
    curl_easy_setopt(client->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)info.st_size);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, answer_collect);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &transfer->answer);
    transfer_watch(transfer);
    return client_perform(client, &transfer->answer, err);
}

bool client_upload(struct client *client, const char *path, const char *file, const struct client_progress *progress,
                   struct error *err) {
    _cleanup_fclose_ FILE *input = fopen(file, "rbe");
    _cleanup_(transfer_free) struct transfer transfer = {input, client->curl, .progress = progress};
    if (!input)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", file);
    while (!transfer_send(client, path, &transfer, err))
        if (!transfer_repeats(&transfer))
            return error_wrap(err, "uploading %s", file);
    return true;
}

static size_t transfer_save(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400)
        return answer_collect(data, size, count, &transfer->answer);
    if (status == 200 && transfer->offset > 0) { /* the farm sends the whole object, not the rest: begin again */
        rewind(transfer->file);
        if (ftruncate(fileno(transfer->file), 0) != 0)
            return 0;
        transfer->offset = 0;
    }
    return fwrite(data, 1, count, transfer->file);
}

static bool transfer_fetch(struct client *client, const char *path, struct transfer *transfer, struct error *err) {
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = NULL;
    transfer->offset = ftello(transfer->file);
    answer_free(&transfer->answer);
    /* Not CURLOPT_RESUME_FROM, which takes a whole object (200) for a failure. */
    _cleanup_free_ char *range = xasprintf("Range: bytes=%lld-", (long long)transfer->offset);
    add_header(&headers, transfer->offset > 0 ? range : NULL);
    client_prepare(client, "GET", path, &headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, transfer_save);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, transfer);
    transfer_watch(transfer);
    return client_perform(client, &transfer->answer, err);
}

/* A part that is as long as the object, or longer, has no rest to ask for (416): begin again. */
static bool transfer_fetch_rest(struct client *client, const char *path, struct transfer *transfer, struct error *err) {
    if (transfer_fetch(client, path, transfer, err))
        return true;
    if (transfer->answer.status != 416 || ftruncate(fileno(transfer->file), 0) != 0)
        return false;
    rewind(transfer->file);
    return transfer_fetch(client, path, transfer, err);
}

/* A part with wrong bytes must go: continued, it would be wrong for ever. */
static bool transfer_check(const struct client_download *download, struct error *err) {
    char hex[SHA256_HEX + 1];
    if (!download->sha256)
        return true;
    if (!sha256_file(download->part, hex, NULL, err))
        return false;
    if (strcmp(hex, download->sha256) == 0)
        return true;
    unlink(download->part);
    return error_set(err, ERR_STORE_HASH_MISMATCH,
                     "%s: what came has the SHA-256 %s, but %s was published; it is thrown away, fetch it again",
                     download->path, hex, download->sha256);
}

bool client_download(struct client *client, const struct client_download *download, struct error *err) {
    _cleanup_fclose_ FILE *output = fopen(download->part, "abe");
    _cleanup_(transfer_free) struct transfer transfer = {output, client->curl, .progress = download->progress};
    if (!output || fseeko(output, 0, SEEK_END) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", download->part);
    while (!transfer_fetch_rest(client, download->path, &transfer, err))
        if (!transfer_repeats(&transfer))
            return error_wrap(err, "fetching %s", download->path);
    if (fflush(output) != 0 || fsync(fileno(output)) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", download->part);
    if (!transfer_check(download, err))
        return false;
    return rename(download->part, download->file) == 0 ||
           error_set_errno(err, ERR_IO, errno, "cannot write %s", download->file);
}

/* ---- events ---- */

struct events {
    struct client *client;
    const struct client_listener *listener;
    struct buffer line, data;
    char *type, *last_id;
    struct answer answer;
    int64_t tick_ns;  /* when the listener's tick was last called */
    int64_t heard_ns; /* when the farm last sent anything */
    bool ended;
};

static void events_dispatch(struct events *events) {
    struct error none;
    _cleanup_json_ json_t *data =
        events->data.length ? json_parse(events->data.data, events->data.length, &none) : NULL;
    if (data && !events->listener->event(events->type ? events->type : "message", data, events->listener->context))
        events->ended = true;
    buffer_clear(&events->data);
    free(steal(events->type));
}

/* Reads one line of the event stream (WHATWG HTML, 9.2.6). A line that begins with a colon is a comment: the server's
 * heartbeat. */
static void events_read_line(struct events *events, char *line) {
    char *value = strchr(line, ':');
    if (line[0] == '\0')
        events_dispatch(events);
    if (!value || value == line)
        return;
    *value++ = '\0';
    value += *value == ' ';
    if (strcmp(line, "data") == 0) {
        if (events->data.length)
            buffer_append_text(&events->data, "\n");
        buffer_append_text(&events->data, value);
    } else if (strcmp(line, "event") == 0) {
        free(events->type);
        events->type = xstrdup(value);
    } else if (strcmp(line, "id") == 0) {
        free(events->last_id);
        events->last_id = xstrdup(value);
    }
}

static size_t events_receive(char *data, size_t size, size_t count, void *context) {
    struct events *events = context;
    long status = 0;
    curl_easy_getinfo(events->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400)
        return answer_collect(data, size, count, &events->answer);
    events->heard_ns = clock_monotonic_ns(clock_system());
    for (size_t i = 0; i < count && !events->ended; i++) {
        if (data[i] == '\n') {
            buffer_append(&events->line, "", 0);
            events_read_line(events, events->line.data);
            buffer_clear(&events->line);
        } else if (data[i] != '\r' && events->line.length < ANSWER_MAX) {
            buffer_append(&events->line, &data[i], 1);
        }
    }
    return events->ended ? 0 : count;
}

static void events_tick(struct events *events, bool connected) {
    events->tick_ns = clock_monotonic_ns(clock_system());
    if (!events->ended)
        events->ended = !events->listener->tick(connected, events->listener->context);
}

/* curl calls this whenever data arrive, and about once a second when none do. A result other than 0 ends the transfer.
 */
static int events_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    struct events *events = context;
    if (clock_monotonic_ns(clock_system()) - events->tick_ns >= 1000000000)
        events_tick(events, true);
    return events->ended;
}

static bool events_connect(struct events *events, const char *path, struct error *err) {
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = NULL;
    _cleanup_free_ char *resume = events->last_id ? xasprintf("Last-Event-ID: %s", events->last_id) : NULL;
    add_header(&headers, "Accept: text/event-stream");
    add_header(&headers, resume);
    CURL *curl = events->client->curl;
    client_prepare(events->client, "GET", path, &headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, events_receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, events);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, events_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, events);
    buffer_clear(&events->line);
    buffer_clear(&events->data);
    events->answer.status = 0;
    buffer_clear(&events->answer.body);
    return client_perform(events->client, &events->answer, err);
}

static void events_free(struct events *events) {
    buffer_free(&events->line);
    buffer_free(&events->data);
    buffer_free(&events->answer.body);
    free(events->type);
    free(events->last_id);
}

bool client_listen(struct client *client, const char *path, const struct client_listener *listener, struct error *err) {
    _cleanup_(events_free) struct events events = {.client = client, .listener = listener};
    const struct clock *clock = clock_system();
    events.heard_ns = clock_monotonic_ns(clock);
    for (;;) {
        struct error failure = {0};
        /* true when the farm ended the stream in order: the campaign has ended, or the farm is being restarted */
        bool closed = events_connect(&events, path, &failure);
        bool lasting = !closed && events.answer.status >= 400 && events.answer.status < 500;
        bool patience = clock_monotonic_ns(clock) - events.heard_ns < (int64_t)LISTEN_PATIENCE_MS * 1000000;
        if (!events.ended && (lasting || (!closed && !patience))) {
            *err = failure;
            return false;
        }
        events_tick(&events, closed);
        if (events.ended)
            return true;
        clock_sleep_ms(clock, RECONNECT_MS);
    }
}
