/* worker: the data plane's loop: claim a job, run it, renew its lease, finish it; fetch the next one meanwhile; drain.
 *
 * Two slots (slot.h) do the jobs. The heart, a thread in worker.c, renews leases; the node's (node.h) watches the
 * machine; the exporter's (exporter.h) answers probes. check.h judges a machine before a worker starts on it.
 *
 * It promises: a job whose lease is lost publishes nothing, and is told to stop at its next batch; SIGTERM releases
 * what cannot be finished in time, unharmed, and the process ends even if a job does not stop; what is claimed during a
 * drain is released at once; heartbeats never wait for a network or a codec. */
#pragma once

#include "dub/models.h"
#include "executor/executor.h"
#include "queue/queue.h"

struct worker_options {
    const char *id; /* NULL: host-pid-random */
    struct queue_options queue;
    const char *store_url;
    const struct store_options *store; /* may be NULL. Borrowed */
    const enum pool *pools;            /* whose jobs are claimed */
    size_t pool_count;
    const enum campaign_class *only; /* jobs of this class alone; NULL: of both */
    struct models_options models;
    /* Where /metrics, /healthz and /readyz answer; port 0 takes a free one; NULL: nowhere. */
    const char *metrics_address;
    const char *work_directory; /* cache and scratch space; made when missing */
    int64_t cache_bytes;        /* 0: half of what the volume has free, as store/cache.h says */
    int lease_ms;               /* 0: 30000; renewed about once a second */
    int grace_ms;               /* after SIGTERM, to finish the running jobs; 0: 25000 */
    int idle_exit_ms;           /* end after so long without a job; 0: never */
};

/* Runs until SIGTERM, SIGINT, a spot notice or the idle time-out, then drains. Blocks SIGTERM and SIGINT in this thread
 * and those it starts. Redis that does not answer is waited for. False only when it cannot start: what the queue, the
 * store, the cache, the exporter and the models say, io, internal. May end the process instead of returning (status 0),
 * when a job does not stop in time. */
bool worker_run(const struct worker_options *options, struct error *err) must_check;
