/* The local autoscaler of `mela up`: as many worker processes as the rule asks for, on this machine. */
#pragma once

#include "scale/policy.h"

struct local_scale_options {
    struct queue_options queue;
    const char *const *worker;     /* argv of a worker, ended by NULL, without --id; it ends by itself when idle */
    int cap;                       /* most workers at once; 0: none, ever */
    int gpus;                      /* cards to spread the workers over; below 2 nothing is said to them */
    int cooldown_ms;               /* the workers' own idle time-out; work that is due within it counts */
    int grace_ms;                  /* a stopping worker is killed after it */
    const struct scale_rule *rule; /* its own cap is passed over */
    const char *log_directory;     /* worker-<n>.log, made when missing */
    int signals;                   /* signalfd of SIGTERM, SIGINT and SIGCHLD, which are blocked in every thread */
    /* Called when a child of this process that is no worker may have ended; NULL: not. */
    void (*child_ended)(void *context);
    void *context;
};

/* Starts workers as work comes, in the calling thread (they die with it), until SIGTERM or SIGINT; then
 * drains them: each gets SIGTERM and the grace time, and a second signal ends them at once. While nothing is
 * queued it sleeps. A worker that fails is started again after a pause that doubles up to a minute, and the
 * log says why it failed. Redis that does not answer is waited for. False only when it cannot start. */
bool local_scale_run(const struct local_scale_options *options, struct error *err) must_check;
