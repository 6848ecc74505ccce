/* The local autoscaler of `mela up`: as many worker processes as the rule asks for, on this machine. */
#pragma once

#include "scale/policy.h"

struct local_scale_options {
    struct queue_options queue;
    const char *const *worker;     /* argv of a worker, ended by NULL, without --id; it ends by itself when idle */
    int cap;                       /* most workers at once; 0: none, ever */
    int gpus;                      /* cards to spread the workers over; below 2 CUDA_VISIBLE_DEVICES is not set */
    int cooldown_ms;               /* the workers' own idle time-out; work that is due within it counts */
    int grace_ms;                  /* a stopping worker is killed after it */
    const struct scale_rule *rule; /* `cap` is used instead of its own */
    const char *log_directory;     /* worker-<n>.log, made when missing */
    int signals;                   /* signalfd of SIGTERM, SIGINT and SIGCHLD, which are blocked in every thread */
    /* Called, in the thread of local_scale_run, when any child may have ended; NULL: nothing is. */
    void (*child_ended)(void *context);
    void *context;
};

/* Starts workers as work comes, in the calling thread (they die with it), until SIGTERM or SIGINT; then
 * drains them: each gets SIGTERM and the grace time, and a second signal ends them at once. While nothing is
 * queued it sleeps. A worker that fails is started again after a pause that doubles up to a minute, and the
 * log says why it failed. Redis that does not answer is asked again. False only when it cannot start: io, internal. */
bool local_scale_run(const struct local_scale_options *options, struct error *err) must_check;
