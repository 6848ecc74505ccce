/* The worker and the machine it runs on: spot notices come in, the pod's deletion cost goes out. One thread of its own,
 * so that neither heartbeats nor jobs wait for these networks. Private to this room. */
#pragma once

#include <stdbool.h>

struct node;

struct node_options {
    bool (*is_busy)(void *context);
    /* The machine is to be taken away; called once. */
    void (*leave)(void *context);
    void *context;
};

/* The thread ends by itself where there is neither a cluster nor a spot instance. */
struct node *node_start(const struct node_options *options);
void node_stop(struct node *node);
