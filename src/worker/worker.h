/* worker: the supervisor. Claims jobs, renews their leases, moves their files, has executors do them, and drains.
 *
 * One thread decides (worker.c): one loop over Redis, signals, timers and the executors. slot.h is a job's way;
 * executor_process.h an executor as a child; transfer.h moves files, in threads of the moment. The node's thread
 * (node.h) watches the machine, the exporter's (exporter.h) answers probes. check.h judges a machine before a worker
 * starts on it.
 *
 * It promises: it opens no media and loads no network, so that what is hostile meets an executor only, which has no
 * credentials and no way out; a job that is to stop is stopped, by force if need be; a job whose lease is lost
 * publishes nothing; SIGTERM releases what cannot be finished in time, unharmed; an executor that crashes costs its own
 * job only; a worker whose own fault jobs fail by claims nothing more until it is well (illness.h). */
#pragma once

#include "dub/models.h"
#include "queue/queue.h"

enum { WORKER_GRACE_MS = 25000 }; /* the usual grace */

struct worker_options {
    const char *id; /* NULL: host-pid-random */
    struct queue_options queue;
    const char *store_url;
    const struct store_options *store; /* may be NULL. Borrowed */
    const enum pool *pools;            /* whose jobs are claimed */
    size_t pool_count;
    const enum campaign_class *only; /* jobs of this class alone; NULL: of both */
    struct models_options models;    /* `device` aside, but for its threads */
    const char *executor;            /* file of the executors' program; NULL: this one */
    const char *const *devices;      /* "auto", "cpu", "cuda:1": what executors run on */
    size_t device_count;
    int slots; /* executors of a device; 0: 2, of which one computes while the other begins or ends a job */
    /* Where /metrics, /healthz and /readyz answer; port 0 takes a free one; NULL: nowhere. */
    const char *metrics_address;
    const char *work_directory; /* cache and scratch space; made when missing */
    int64_t cache_bytes;        /* 0: half of what the volume has free, as store/cache.h says */
    int lease_ms;               /* 0: 30000; renewed about once a second */
    int grace_ms;               /* after SIGTERM, to finish the running jobs; 0: they are released at once */
    int idle_exit_ms;           /* end after so long without a job; 0: never */
};

/* Runs until SIGTERM, SIGINT, a spot notice or the idle time-out, then drains. Blocks SIGTERM and SIGINT in this thread
 * and those it starts. Redis that does not answer is waited for. False only when it cannot start: what the queue, the
 * store, the cache, the exporter and the models say, io, internal. May end the process instead of returning (status 0),
 * when a job does not stop in time. */
bool worker_run(const struct worker_options *options, struct error *err) must_check;
