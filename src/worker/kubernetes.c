#include "worker/kubernetes.h"

#include <curl/curl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { TOTAL_MS = 10000, ANSWER_MAX = 32 << 20, FILE_MAX = 1 << 20 };
static const char default_mount[] = "/var/run/secrets/kubernetes.io/serviceaccount";

DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

struct kubernetes {
    CURL *curl;
    char *base, *mount, *authority;
};

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

struct kubernetes *kubernetes_open(void) {
    const char *host = variable("KUBERNETES_SERVICE_HOST"), *port = variable("KUBERNETES_SERVICE_PORT");
    const char *mount = variable("MELA_KUBERNETES_MOUNT");
    _cleanup_free_ char *token = xasprintf("%s/token", mount ? mount : default_mount);
    CURL *curl = host && access(token, R_OK) == 0 ? curl_easy_init() : NULL;
    if (!curl)
        return NULL;
    struct kubernetes *kubernetes = xnew(struct kubernetes);
    bool bare = strchr(host, ':') && host[0] != '['; /* an IPv6 address */
    kubernetes->curl = curl;
    kubernetes->base = xasprintf("https://%s%s%s:%s", bare ? "[" : "", host, bare ? "]" : "", port ? port : "443");
    kubernetes->mount = xstrdup(mount ? mount : default_mount);
    kubernetes->authority = xasprintf("%s/ca.crt", kubernetes->mount);
    return kubernetes;
}

void kubernetes_close(struct kubernetes *kubernetes) {
    curl_easy_cleanup(kubernetes->curl);
    free(kubernetes->base);
    free(kubernetes->mount);
    free(kubernetes->authority);
    free(kubernetes);
}

/* A file of the mount without the white space at its end; they are renewed while we run. Caller frees. */
static char *read_mounted(const struct kubernetes *kubernetes, const char *name, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", kubernetes->mount, name);
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, FILE_MAX, &text, err))
        return NULL;
    char *value = buffer_steal(&text);
    value[strcspn(value, "\r\n")] = '\0';
    return value;
}

static size_t take(char *bytes, size_t size, size_t count, void *context) {
    struct buffer *answer = context;
    if (answer->length + size * count > ANSWER_MAX)
        return 0;
    buffer_append(answer, bytes, size * count);
    return size * count;
}

static void set_options(struct kubernetes *kubernetes, const char *method, const char *url, const char *patch,
                        struct curl_slist *headers, struct buffer *answer) {
    CURL *curl = kubernetes->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CAINFO, kubernetes->authority);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (patch)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, patch);
}

/* One request; its JSON, a new reference. */
static json_t *request(struct kubernetes *kubernetes, const char *method, const char *path, const json_t *patch,
                       struct error *err) {
    _cleanup_free_ char *token = read_mounted(kubernetes, "token", err);
    if (!token)
        return NULL;
    _cleanup_free_ char *url = xasprintf("%s%s", kubernetes->base, path), *body = patch ? json_line(patch) : NULL;
    _cleanup_free_ char *authorization = xasprintf("Authorization: Bearer %s", token);
    _cleanup_(curl_slist_free_all_cleanup) struct curl_slist *headers = curl_slist_append(NULL, authorization);
    if (patch)
        headers = curl_slist_append(headers, "Content-Type: application/merge-patch+json");
    _cleanup_buffer_ struct buffer answer = {0};
    set_options(kubernetes, method, url, body, headers, &answer);
    CURLcode code = curl_easy_perform(kubernetes->curl);
    long status = 0;
    curl_easy_getinfo(kubernetes->curl, CURLINFO_RESPONSE_CODE, &status);
    struct error none;
    _cleanup_json_ json_t *json = answer.data ? json_parse(answer.data, answer.length, &none) : NULL;
    if (code == CURLE_OK && (status == 200 || status == 202) && json)
        return steal(json);
    if (code != CURLE_OK)
        error_set(err, ERR_IO, "the Kubernetes API does not answer: %s", curl_easy_strerror(code));
    else
        error_set(err, ERR_IO, "the Kubernetes API answered %s %s with %ld: %s", method, path, status,
                  json ? json_get_string(json, "message", "no reason") : "no JSON");
    return NULL;
}

static bool patch(struct kubernetes *kubernetes, const char *path, const json_t *change, struct error *err) {
    _cleanup_json_ json_t *answer = request(kubernetes, "PATCH", path, change, err);
    return answer;
}

/* The path of the own pod. Caller frees. */
static char *pod_path(const struct kubernetes *kubernetes, struct error *err) {
    const char *pod = variable("POD_NAME") ? variable("POD_NAME") : variable("HOSTNAME");
    _cleanup_free_ char *namespace = read_mounted(kubernetes, "namespace", err);
    if (namespace && !pod)
        error_set(err, ERR_USAGE, "POD_NAME is not set: hand it to the pod by the downward API");
    return namespace && pod ? xasprintf("/api/v1/namespaces/%s/pods/%s", namespace, pod) : NULL;
}

bool kubernetes_set_deletion_cost(struct kubernetes *kubernetes, int cost, struct error *err) {
    _cleanup_free_ char *path = pod_path(kubernetes, err), *text = xasprintf("%d", cost);
    if (!path)
        return false;
    _cleanup_json_ json_t *change =
        json_pack("{s:{s:{s:s}}}", "metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost", text);
    return patch(kubernetes, path, change, err);
}

/* How many nodes other than `own` take no pods. */
static bool count_cordoned(struct kubernetes *kubernetes, const char *own, int *count, struct error *err) {
    _cleanup_json_ json_t *nodes =
        request(kubernetes, "GET", "/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue", NULL, err);
    if (!nodes)
        return false;
    size_t i;
    json_t *node;
    *count = 0;
    json_array_foreach (json_object_get(nodes, "items"), i, node)
        *count += strcmp(json_get_string(json_object_get(node, "metadata"), "name", ""), own) != 0;
    return true;
}

static bool set_cordon(struct kubernetes *kubernetes, const char *node, const char *reason, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/api/v1/nodes/%s", node);
    _cleanup_json_ json_t *change =
        json_pack("{s:{s:o}, s:{s:{s:s?}}}", "spec", "unschedulable", reason ? json_true() : json_null(), "metadata",
                  "annotations", "mela/cordoned", reason);
    return patch(kubernetes, path, change, err);
}

/* Counted before and after: of several nodes that do this at once, those that find too many take theirs back. */
bool kubernetes_cordon(struct kubernetes *kubernetes, const char *reason, int most, bool *done, struct error *err) {
    const char *node = variable("NODE_NAME");
    int others;
    *done = false;
    if (!node)
        return error_set(err, ERR_USAGE, "NODE_NAME is not set: hand it to the pod by the downward API");
    if (!count_cordoned(kubernetes, node, &others, err))
        return false;
    if (others >= most)
        return true;
    if (!set_cordon(kubernetes, node, reason, err) || !count_cordoned(kubernetes, node, &others, err))
        return false;
    *done = others < most;
    return *done || set_cordon(kubernetes, node, NULL, err);
}

bool kubernetes_delete_pod(struct kubernetes *kubernetes, struct error *err) {
    _cleanup_free_ char *path = pod_path(kubernetes, err);
    _cleanup_json_ json_t *answer = path ? request(kubernetes, "DELETE", path, NULL, err) : NULL;
    return answer;
}
