#include "store/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/random.h"

enum { KEPT = 16, BODY_LIMIT = 16 << 20 };

const struct http_policy http_policy_default = {
    .attempts = 6, .base_ms = 100, .limit_ms = 10000, .connect_ms = 5000, .stall_seconds = 30};

/* A request, and the loop that runs it and keeps its connection. curl_easy_perform would have such a loop of its own,
 * which looks at nothing for up to a second. */
struct handle {
    CURL *easy;
    CURLM *multi;
};

struct http {
    struct http_policy policy;
    /* Guards what follows. Nothing is called while it is held; a handle is used by the one thread that borrowed it. */
    pthread_mutex_t lock;
    struct handle kept[KEPT];
    int count;
};

int64_t http_retry_delay_ms(const struct http_policy *policy, int attempt) {
    int64_t most = policy->base_ms << MIN(attempt, 20);
    return (int64_t)(random_unit() * (double)MIN(most, policy->limit_ms));
}

bool http_is_transient(int status) {
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

void http_process_begin(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

struct http *http_new(const struct http_policy *policy) {
    struct http *http = xnew(struct http);
    http_policy_set(http, policy);
    pthread_mutex_init(&http->lock, NULL);
    return http;
}

static void handle_free(struct handle *handle) {
    curl_easy_cleanup(handle->easy);
    curl_multi_cleanup(handle->multi);
}

void http_free(struct http *http) {
    for (int i = 0; i < http->count; i++)
        handle_free(&http->kept[i]);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

const struct http_policy *http_policy(const struct http *http) { return &http->policy; }

void http_policy_set(struct http *http, const struct http_policy *policy) {
    http->policy = *policy;
    if (!http->policy.clock)
        http->policy.clock = clock_system();
}

void http_response_clear(struct http_response *response) {
    buffer_free(&response->body);
    *response = (struct http_response){0};
}

static struct handle handle_borrow(struct http *http) {
    struct handle handle = {0};
    pthread_mutex_lock(&http->lock);
    if (http->count > 0)
        handle = http->kept[--http->count];
    pthread_mutex_unlock(&http->lock);
    if (!handle.easy)
        handle = (struct handle){curl_easy_init(), curl_multi_init()};
    if (!handle.easy || !handle.multi)
        abort();
    return handle;
}

static void handle_return(struct http *http, struct handle handle) {
    curl_easy_reset(handle.easy); /* the connection stays */
    pthread_mutex_lock(&http->lock);
    bool kept = http->count < KEPT;
    if (kept)
        http->kept[http->count++] = handle;
    pthread_mutex_unlock(&http->lock);
    if (!kept)
        handle_free(&handle);
}

struct transfer {
    CURL *curl;
    const struct http_request *request;
    struct http_response *response;
    struct error *err;
};

/* The value when `line` is the header `name`; not terminated. */
static const char *header_value(const char *line, size_t length, const char *name, size_t *size) {
    size_t skip = strlen(name);
    if (length <= skip || strncasecmp(line, name, skip) != 0 || line[skip] != ':')
        return NULL;
    const char *value = line + skip + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr(" \t\r\n", end[-1]))
        end--;
    *size = (size_t)(end - value);
    return value;
}

static void header_copy(char *out, size_t capacity, const char *value, size_t length) {
    length = MIN(length, capacity - 1);
    memcpy(out, value, length);
    out[length] = '\0';
}

static size_t http_on_header(char *line, size_t one, size_t length, void *context) {
    struct http_response *response = ((struct transfer *)context)->response;
    size_t size;
    const char *value;
    char text[80];
    if ((value = header_value(line, length, "etag", &size))) {
        bool quoted = size >= 2 && value[0] == '"' && value[size - 1] == '"';
        header_copy(response->etag, sizeof response->etag, value + quoted, size - 2 * quoted);
    } else if ((value = header_value(line, length, "content-length", &size))) {
        header_copy(text, sizeof text, value, size);
        response->length = strtoll(text, NULL, 10);
    } else if ((value = header_value(line, length, "last-modified", &size))) {
        header_copy(text, sizeof text, value, size);
        response->modified_ms = (int64_t)curl_getdate(text, NULL) * 1000;
    } else if ((value = header_value(line, length, "x-amz-bucket-region", &size))) {
        header_copy(response->region, sizeof response->region, value, size);
    } else if ((value = header_value(line, length, WRITE_ID_HEADER, &size))) {
        header_copy(response->write_id, sizeof response->write_id, value, size);
    }
    return length;
}

/* Another result than `length` makes curl end the transfer. */
static size_t http_on_body(char *data, size_t one, size_t length, void *context) {
    struct transfer *transfer = context;
    const struct http_request *request = transfer->request;
    struct http_response *response = transfer->response;
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2 || !request->sink) {
        if (response->body.length + length > BODY_LIMIT)
            return 0;
        buffer_append(&response->body, data, length);
        return length;
    }
    if (request->etag && strcmp(request->etag, response->etag) != 0) {
        error_set(transfer->err, ERR_STORE_UNAVAILABLE, "the object changed while it was read");
        response->is_final = true;
    } else if (request->is_partial && status != 206) {
        error_set(transfer->err, ERR_STORE_UNAVAILABLE,
                  "the server ignores ranges: it sent the whole object instead of its rest");
        response->is_final = true;
    } else if (!request->sink->write(request->sink->context, data, length, transfer->err))
        response->is_final = true;
    return response->is_final ? 0 : length;
}

static struct curl_slist *header_list(const struct http_request *request) {
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < request->header_count; i++) {
        _cleanup_free_ char *line = xasprintf("%s: %s", request->headers[i].name, request->headers[i].value);
        list = curl_slist_append(list, line);
    }
    return list;
}

static void http_set_options(const struct http *http, struct transfer *transfer, struct curl_slist *headers) {
    CURL *curl = transfer->curl;
    const struct http_request *request = transfer->request;
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* what was signed */
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, (long)!!http->policy.cancel); /* or it would wait for a slow DNS */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)http->policy.connect_ms);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)http->policy.stall_seconds);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->total_ms);
    if (request->direct)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, http_on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
}

/* Runs the request to its end, or until the flag is raised: then CURLE_ABORTED_BY_CALLBACK. */
static CURLcode handle_perform(const struct handle *handle, const atomic_bool *cancel) {
    enum { IDLE_MS = 1000 };
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int running = 1, left;
    curl_multi_add_handle(handle->multi, handle->easy);
    while (running && !is_cancelled(cancel))
        if (curl_multi_perform(handle->multi, &running) != CURLM_OK ||
            (running && curl_multi_poll(handle->multi, NULL, 0, cancel ? CANCEL_POLL_MS : IDLE_MS, NULL) != CURLM_OK))
            abort(); /* out of memory, or not used as it says */
    for (const CURLMsg *message; (message = curl_multi_info_read(handle->multi, &left));)
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    curl_multi_remove_handle(handle->multi, handle->easy);
    return result;
}

bool http_try(struct http *http, const struct http_request *request, struct http_response *response,
              struct error *err) {
    http_response_clear(response);
    struct handle handle = handle_borrow(http);
    struct transfer transfer = {handle.easy, request, response, err};
    struct curl_slist *headers = header_list(request);
    http_set_options(http, &transfer, headers);
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(transfer.curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode code = handle_perform(&handle, http->policy.cancel);
    long status = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    handle_return(http, handle);
    if (code == CURLE_OK) {
        response->status = (int)status;
        return true;
    }
    if (response->is_final)
        return false;
    if (!cancel_check(http->policy.cancel, err)) {
        response->is_final = true;
        return false;
    }
    return error_set(err, ERR_STORE_UNAVAILABLE, "no answer from %.*s: %s", (int)strcspn(request->url, "?"),
                     request->url, *reason ? reason : curl_easy_strerror(code));
}

bool http_send(struct http *http, const struct http_request *request, struct http_response *response,
               struct error *err) {
    struct error failure = {0}; /* only the last try's is shown */
    for (int attempt = 0;; attempt++) {
        bool answered = http_try(http, request, response, &failure);
        bool over = response->is_final || attempt + 1 >= http->policy.attempts;
        if (!answered && over)
            *err = failure;
        if (over || (answered && !http_is_transient(response->status)))
            return answered;
        cancel_sleep(http->policy.cancel, http->policy.clock, http_retry_delay_ms(&http->policy, attempt));
    }
}
