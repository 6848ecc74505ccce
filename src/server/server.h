/* server: the HTTP API on libmicrohttpd: request guard, keys with roles, campaigns, files, events, metrics.
 *
 * It promises: nothing that arrives is trusted or unbounded; every error is typed as in docs/errors.md; a
 * campaign is acknowledged only when its spec is in the store and in Redis; at rest it uses next to no memory
 * and no CPU. It never includes media, model, stage or worker. */
#pragma once

#include "scale/policy.h"
#include "store/store.h"

struct server;

struct server_options {
    const char *address;        /* "127.0.0.1:0"; port 0 takes a free one */
    struct queue_options queue; /* connections are opened as requests need them */
    const char *store_url;
    const char *keys_file;             /* JSON, see auth.h; required */
    const struct store_options *store; /* may be NULL */
    /* Rules and calendars; the server tells the queue what the calendars say. Borrowed. NULL: the default rule
     * and no calendar. */
    const struct scale_policies *policies;
    /* When jobs are given up; the server tells the queue. NULL: the queue keeps what it has. Borrowed. */
    const struct failure_policies *failure;
    int64_t upload_limit; /* bytes of one uploaded file; 0: 64 GiB */
    const char *emf;      /* CloudWatch namespace: write the farm's figures to stdout (docs/metrics.md); NULL: no */
    int emf_period_ms;    /* 0: a minute */
    int idle_timeout_s;   /* a connection that moves no byte for so long is closed; 0: 30 */
};

/* Listens and opens the store; Redis may come later (until then requests that need it answer 503). Ignores
 * SIGPIPE for the whole process and limits malloc to two arenas, which keeps a server of many small threads
 * small. */
struct server *server_start(const struct server_options *options, struct error *err) must_check;
int server_port(const struct server *server);
/* Stops accepting, ends event streams, waits up to ten seconds for what runs, and frees the server. */
void server_stop(struct server *server);
DEFINE_CLEANUP(struct server *, server_stop)
#define _cleanup_server_ _cleanup_(server_stop_cleanup)
