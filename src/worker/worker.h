/* worker: the data plane's loop: claim, run the stage, heartbeat, finish; prefetch and drain.
 *
 * It promises: a job whose lease is lost is stopped within one batch and publishes nothing; SIGTERM gives
 * back what cannot be finished in time, unharmed; heartbeats never wait for a network or a codec. */
#pragma once

#include "dub/models.h"
#include "executor/executor.h"
#include "queue/queue.h"

struct worker_options {
    const char *id; /* NULL: host-pid-random */
    struct queue_options queue;
    const char *store_url;
    const struct store_options *store; /* may be NULL. Borrowed */
    const enum pool *pools;
    size_t pool_count;
    const enum campaign_class *only; /* jobs of this class alone; NULL: of both */
    struct models_options models;
    const char
        *metrics_address; /* where /metrics, /healthz and /readyz answer; port 0 takes a free one; NULL: nowhere */
    const char *work_directory; /* cache and scratch space; made when missing */
    int64_t cache_bytes;        /* 0: 20 GB */
    int lease_ms;               /* 0: 30000; heartbeats come at a third of it */
    int grace_ms;               /* SIGTERM: time to finish the running job; 0: 25000 */
    int idle_exit_ms;           /* end after so long without a job; 0: never */
};

/* Runs until SIGTERM or SIGINT (drain), or idle time-out. False when it could not start or lost Redis for
 * good. */
bool worker_run(const struct worker_options *options, struct error *err) must_check;
