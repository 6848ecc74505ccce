/* What the API answers, to whom. Private to this room. */
#pragma once

#include "server/request.h"

enum access { ACCESS_VIEWER = ROLE_VIEWER, ACCESS_PRODUCER = ROLE_PRODUCER, ACCESS_ADMIN = ROLE_ADMIN, ACCESS_PUBLIC };

struct route {
    const char *method;
    const char *pattern; /* "{}" stands for one component, "{*}" for one or more */
    enum access access;
    int64_t body_limit; /* BODY_UPLOAD: the server's upload limit */
    /* Answers, the body being complete; false: *err is the answer. */
    bool (*handle)(struct request *request, struct error *err);
    /* For bodies that are not collected in memory: called before the first byte (may answer at once), then
     * with each piece. NULL: the body is collected in request->body. */
    bool (*begin)(struct request *request, struct error *err);
    void (*take)(struct request *request, const void *data, size_t length);
};

enum { BODY_NONE = 0, BODY_SPEC = 1024 * 1024, BODY_UPLOAD = -1 };

extern const struct route routes[];
extern const size_t route_count;

/* The route for this method (HEAD is answered as GET) and path; its arguments are copied to `arguments`. NULL
 * with api.not_found, or api.method with the methods that this path takes in *allowed (caller frees). */
const struct route *route_find(const char *method, const char *path, char *arguments[PATH_ARGUMENTS], char **allowed,
                               struct error *err) must_check;
/* True when the path has the form; exposed for tests. Arguments are new strings. */
bool route_matches(const char *pattern, const char *path, char *arguments[PATH_ARGUMENTS]);

/* The handlers, by the file they are in. */
#define HANDLER(name) bool name(struct request *request, struct error *err)
HANDLER(campaigns_submit); /* submit.c */
HANDLER(campaigns_list);   /* campaigns.c */
HANDLER(campaign_show);
HANDLER(campaign_cancel);
HANDLER(campaign_jobs);
HANDLER(campaign_events); /* events.c */
HANDLER(campaign_trace);  /* trace.c */
HANDLER(campaign_file);   /* artifacts.c */
HANDLER(job_show);        /* farm.c */
HANDLER(job_retry);
HANDLER(dead_list);
HANDLER(pools_list);
HANDLER(pool_desired);
HANDLER(pool_hold);
HANDLER(pool_resume);
HANDLER(workers_list);
HANDLER(workers_history);
HANDLER(health_show);
HANDLER(ready_show);
HANDLER(file_head); /* upload.c */
HANDLER(file_begin);
HANDLER(file_finish);
void file_take(struct request *request, const void *data, size_t length);
void upload_free(struct upload *upload);
HANDLER(metrics_show); /* metrics.c */
#undef HANDLER
