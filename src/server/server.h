/* server: the HTTP API on libmicrohttpd: request guard, keys with roles, campaigns, files, events, metrics.
 *
 * It promises: nothing that arrives is trusted or unbounded; every error is typed as in docs/errors.md; a
 * campaign is acknowledged only when its spec is in the store and in Redis; at rest it uses next to no memory
 * and no CPU. It knows no media, no networks and no worker.
 *
 * A request's way: dispatch.c checks it (guard.c, auth.c) and finds its route (route.c); a handler (handlers.h) answers
 * it by reply.h, from the queue and the store that context.h holds. Each connection has a thread of its own, which runs
 * all of that. Besides there are two threads, housekeeping.c and cloudwatch.c, and that of scale/hold.h. */
#pragma once

#include "scale/policy.h"
#include "store/store.h"

struct server;

struct server_options {
    const char *address;               /* "127.0.0.1:0"; port 0: any free one */
    struct queue_options queue;        /* connections are opened as requests need them */
    const char *store_url;             /* as of store_open */
    const char *keys_file;             /* JSON, see auth.h; required */
    const struct store_options *store; /* may be NULL */
    /* Rules and calendars; the server writes into the queue what the calendars hold. Borrowed. NULL: the default rule
     * and no calendar. */
    const struct scale_policies *policies;
    /* When jobs are given up; the server writes it into the queue. Borrowed. NULL: the queue keeps what it has. */
    const struct failure_policies *failure;
    int64_t upload_limit; /* bytes of one uploaded file; 0: 64 GiB */
    const char *emf;      /* CloudWatch namespace: write the farm's figures to stdout (docs/metrics.md); NULL: no */
    int emf_period_ms;    /* 0: a minute */
    /* A connection that moves no byte for so long is closed, and one whose next head takes longer; 0: 30. */
    int idle_timeout_s;
};

/* Opens the store and listens; Redis may come later (until then requests that need it answer 503). What is not marked
 * as borrowed is copied. The process must have called process_begin, and process_share_memory if it shall stay small.
 * NULL with config.invalid, a store's error, or internal when there is no thread. */
struct server *server_start(const struct server_options *options, struct error *err) must_check;
/* The port it listens on. */
int server_port(const struct server *server);
/* Stops accepting, ends event streams, waits up to ten seconds for what runs, and frees the server. */
void server_stop(struct server *server);
DEFINE_CLEANUP(struct server *, server_stop)
#define _cleanup_server_ _cleanup_(server_stop_cleanup)
