/* The executor as a process of its own: does the jobs that its worker's supervisor sends over the wire, one at a time.
 * It meets hostile files, so it has no Redis, no credentials and no network. */
#pragma once

#include "dub/models.h"
#include "executor/fence.h"

struct serve_options {
    const char *worker; /* the worker's id, for the log */
    struct models_options models;
    const enum pool *pools; /* whose networks are loaded */
    size_t pool_count;
    struct fence fence;
    int sharers; /* executors of its device */
};

/* Raises the fence, loads the networks, then does jobs until the wire (WIRE_VARIABLE) ends. Ends the process when the
 * supervisor is gone in the middle of a job. False, which the supervisor has been told too, when the networks cannot be
 * loaded: errors as models_load. */
bool executor_serve(const struct serve_options *options, struct error *err) must_check;
