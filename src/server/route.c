#include "server/route.h"

#include <string.h>

#include "base/memory.h"
#include "server/handlers.h"

const struct route routes[] = {
    {"POST", "/v1/campaigns", ACCESS_PRODUCER, BODY_SPEC, campaigns_submit, submit_begin},
    {"GET", "/v1/campaigns", ACCESS_VIEWER, BODY_NONE, campaigns_list, .query = "cursor limit"},
    {"GET", "/v1/campaigns/{}", ACCESS_VIEWER, BODY_NONE, campaign_show},
    {"DELETE", "/v1/campaigns/{}", ACCESS_PRODUCER, BODY_NONE, campaign_cancel},
    {"GET", "/v1/campaigns/{}/jobs", ACCESS_VIEWER, BODY_NONE, campaign_jobs, .query = "cursor limit"},
    {"GET", "/v1/campaigns/{}/events", ACCESS_VIEWER, BODY_NONE, campaign_events, .query = "after"},
    {"GET", "/v1/campaigns/{}/trace", ACCESS_VIEWER, BODY_NONE, campaign_trace},
    {"GET", "/v1/campaigns/{}/files/{*}", ACCESS_VIEWER, BODY_NONE, campaign_file},
    {"POST", "/v1/jobs/{*}/retry", ACCESS_ADMIN, BODY_NONE, job_retry},
    {"GET", "/v1/jobs/{*}", ACCESS_VIEWER, BODY_NONE, job_show},
    {"GET", "/v1/dead", ACCESS_VIEWER, BODY_NONE, dead_list, .query = "cursor limit"},
    {"GET", "/v1/pools", ACCESS_VIEWER, BODY_NONE, pools_list},
    {"GET", "/v1/pools/{}/desired", ACCESS_VIEWER, BODY_NONE, pool_desired, .query = "class"},
    {"POST", "/v1/pools/{}/hold", ACCESS_ADMIN, BODY_SMALL, pool_hold},
    {"POST", "/v1/pools/{}/resume", ACCESS_ADMIN, BODY_SMALL, pool_resume},
    {"GET", "/v1/workers", ACCESS_VIEWER, BODY_NONE, workers_list},
    {"GET", "/v1/workers/history", ACCESS_VIEWER, BODY_NONE, workers_history, .query = "since_ms"},
    {"PUT", "/v1/files/{}", ACCESS_PRODUCER, BODY_UPLOAD, upload_finish, upload_begin, upload_receive},
    {"HEAD", "/v1/files/{}", ACCESS_VIEWER, BODY_NONE, upload_head},
    {"GET", "/healthz", ACCESS_PUBLIC, BODY_NONE, health_show},
    {"GET", "/readyz", ACCESS_PUBLIC, BODY_NONE, ready_show},
    {"GET", "/metrics", ACCESS_PUBLIC, BODY_NONE, metrics_show},
};
const size_t route_count = ARRAY_LENGTH(routes);

/* The end of the components that the placeholder of `kind` stands for. `rest` is the pattern behind it. */
static const char *placeholder_end(const char *path, const char *rest, bool many) {
    if (!many)
        return path + strcspn(path, "/");
    size_t length = strlen(path), tail = strlen(rest);
    return length > tail ? path + length - tail : path;
}

/* True when the path has the form; its arguments are new strings. */
static bool route_matches(const char *pattern, const char *path, char *arguments[PATH_ARGUMENTS]) {
    const char *starts[PATH_ARGUMENTS], *ends[PATH_ARGUMENTS];
    size_t count = 0;
    while (*pattern) {
        if (*pattern == '{') {
            bool many = pattern[1] == '*';
            pattern = strchr(pattern, '}') + 1;
            starts[count] = path;
            path = ends[count] = placeholder_end(path, pattern, many);
            if (ends[count] == starts[count])
                return false;
            count++;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    for (size_t i = 0; *path == '\0' && i < count; i++)
        arguments[i] = xstrndup(starts[i], (size_t)(ends[i] - starts[i]));
    return *path == '\0';
}

static void arguments_clear(char *arguments[PATH_ARGUMENTS]) {
    for (size_t i = 0; i < PATH_ARGUMENTS; i++)
        free(steal(arguments[i]));
}

/* HEAD is a GET without the body, where a path has no HEAD of its own. */
static bool method_fits(const char *method, const struct route *route) {
    return strcmp(method, route->method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

const struct route *route_find(const char *method, const char *path, char *arguments[PATH_ARGUMENTS], char **allowed,
                               struct error *err) {
    _cleanup_buffer_ struct buffer methods = {0};
    for (size_t i = 0; i < route_count; i++) {
        if (!route_matches(routes[i].pattern, path, arguments))
            continue;
        if (method_fits(method, &routes[i]))
            return &routes[i];
        arguments_clear(arguments);
        buffer_appendf(&methods, "%s%s", methods.length ? ", " : "", routes[i].method);
    }
    if (methods.length == 0) {
        error_set(err, ERR_API_NOT_FOUND, "there is nothing at %s; see docs/api.md for the paths", path);
        return NULL;
    }
    error_set(err, ERR_API_METHOD, "%s does not take %s, but %s", path, method, methods.data);
    *allowed = buffer_steal(&methods);
    return NULL;
}
