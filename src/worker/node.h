/* The machine that the worker runs on: watches for a spot notice and keeps the pod's deletion cost up to date. Has a
 * thread of its own, so that neither heartbeats nor jobs wait for these networks. Private to this room. */
#pragma once

#include "base/error.h"

struct node;

struct node_options {
    /* Both are called by the node's thread. */
    bool (*is_busy)(void *context);
    void (*leave)(void *context); /* the machine is to be taken away; called once */
    void *context;
};

/* Starts the thread, which ends by itself where there is neither a cluster nor a spot instance. internal: there is no
 * thread to be had. */
struct node *node_start(const struct node_options *options, struct error *err) must_check;
/* Waits for the thread, which may be in a request: ten seconds at most. */
void node_stop(struct node *node);
