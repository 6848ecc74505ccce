/* The thread that keeps the queue tidy. Private to this room. */
#pragma once

#include "farm/failure.h"
#include "server/context.h"

struct housekeeping;

/* Starts the thread, which runs until the server's lifetime is over. `failure` says when jobs are given up; NULL: the
 * queue keeps what it has. All arguments are borrowed. NULL with internal. */
struct housekeeping *housekeeping_start(const struct api *api, const struct failure_policies *failure,
                                        struct error *err) must_check;
/* Waits for the thread, whose lifetime must be over, and frees. */
void housekeeping_stop(struct housekeeping *housekeeping);
