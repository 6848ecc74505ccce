/* Which handler answers which path, and to whom. Private to this room. */
#pragma once

#include "server/auth.h"
#include "server/request.h"

enum access { ACCESS_VIEWER = ROLE_VIEWER, ACCESS_PRODUCER = ROLE_PRODUCER, ACCESS_ADMIN = ROLE_ADMIN, ACCESS_PUBLIC };

struct route {
    const char *method;
    const char *pattern; /* "{}" stands for one component, "{*}" for one or more */
    enum access access;
    int64_t body_limit; /* BODY_UPLOAD: the server's upload limit */
    /* Answers, the body being complete; false: *err is the answer. */
    bool (*handle)(struct request *request, struct error *err);
    /* Called before the body's first byte; may answer at once. NULL: nothing is to be done then. */
    bool (*begin)(struct request *request, struct error *err);
    /* Takes each piece of the body. NULL: it is collected in request->body. */
    void (*receive)(struct request *request, const void *data, size_t length);
    const char *query; /* the names of the parameters it takes, with spaces between them; NULL: none */
};

enum {
    BODY_NONE = 0,
    BODY_SMALL = 64 * 1024,
    BODY_SPEC = 16 * 1024 * 1024, /* 10,000 prompts of 1,600 bytes with their settings */
    BODY_UPLOAD = -1,
};

extern const struct route routes[];
extern const size_t route_count;

/* The route for this method (HEAD is answered as GET) and path; its arguments are copied to `arguments`. NULL
 * with api.not_found, or api.method with the methods that this path has in *allowed (caller frees). */
const struct route *route_find(const char *method, const char *path, char *arguments[PATH_ARGUMENTS], char **allowed,
                               struct error *err) must_check;
