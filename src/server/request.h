/* One request, from its first line to its reply, and the server it belongs to. Private to this room. */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/digest.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/server.h"

enum { IDLE_QUEUES = 8, STREAMS_MAX = 256, CONNECTIONS_MAX = 512, PATH_ARGUMENTS = 2 };

struct metrics;
struct hold_keeper;

struct server {
    struct MHD_Daemon *daemon;
    struct store *store;
    struct keys *keys;
    struct metrics *metrics;
    const struct scale_policies *policies;  /* may be NULL */
    struct hold_keeper *holds;              /* NULL without policies */
    const struct failure_policies *failure; /* may be NULL */
    struct queue_options queue;             /* its strings are the server's own */
    char *redis_url, *farm;
    int64_t upload_limit;
    int idle_timeout_s;
    char *emf; /* namespace of CloudWatch, or NULL */
    int64_t emf_period_ms;
    atomic_bool stopping;
    atomic_int streams;    /* event streams open now */
    pthread_mutex_t lock;  /* of what follows */
    pthread_cond_t change; /* `running` fell to 0, or `stopping` was set */
    int running;           /* requests begun and not completed */
    struct queue *idle[IDLE_QUEUES];
    size_t idle_count;
    struct pool_counts last_counts[POOL_COUNT]; /* what Redis said last, for pools that it told of */
    bool knows_counts[POOL_COUNT];
    pthread_t housekeeper, emf_writer;
};

/* The thread that keeps the queue tidy until the server stops. */
void *housekeeping_thread(void *server);

/* Sleeps; false at once when the server stops. */
bool server_sleep(struct server *server, int64_t ms);

/* The rule of a pool. */
const struct scale_rule *server_rule(const struct server *server, enum pool pool);

/* Connections to Redis: one for each thread that needs one now; a few idle ones are kept. */
struct queue *server_queue_take(struct server *server, struct error *err) must_check;
void server_queue_give(struct server *server, struct queue *queue);

struct route;
struct upload;

struct request {
    struct server *server;
    struct MHD_Connection *connection;
    const struct route *route;
    char *target, *path, *query;
    char *arguments[PATH_ARGUMENTS]; /* what the placeholders of the route's pattern matched */
    char method[17];
    int64_t content_length;
    const char *key_name; /* whose key; NULL on public routes */
    struct buffer body;
    struct upload *upload;
    struct queue *queue; /* borrowed from the pool while the handler runs */
    json_t *details;     /* of an error: a list of problems, or NULL */
    struct error failure;
    struct MHD_Response *response;
    unsigned status;
    bool begun, early; /* early: answered before the body was read, so the connection is of no more use */
    int64_t started_ns;
};

/* The pool connection of this request; queue.unavailable. */
struct queue *request_queue(struct request *request, struct error *err) must_check;
/* ?cursor= (*cursor NULL when missing; caller frees) and ?limit= (1 to `most`, `usual` when missing). */
bool request_page(const struct request *request, int usual, int most, char **cursor, int *limit,
                  struct error *err) must_check;
/* A request header, NULL when missing. Borrowed. */
const char *request_header(const struct request *request, const char *name);

/* libmicrohttpd's callbacks: a request starts with its target, is handled in one or more calls, and is
 * completed once. */
void *request_new(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result request_handle(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                               const char *version, const char *data, size_t *length, void **state);
void request_completed(void *server, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code);
