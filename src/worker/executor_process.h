/* One executor (executor/wire.h) as the supervisor sees it: a child process, the wire to it, and how it is ended.
 * Private to this room. */
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include "executor/wire.h"
#include "queue/queue.h"

struct executor_process {
    pid_t pid; /* 0: none */
    struct wire wire;
    bool ready;                         /* its networks are loaded */
    bool said_why;                      /* it said why it cannot start */
    bool hung_up;                       /* it is gone, or is to go, and is not listened to */
    int64_t term_ms, kill_ms;           /* when it gets SIGTERM and SIGKILL; 0: not */
    char campaign[CAMPAIGN_ID_MAX + 1]; /* whose spec it has; "" for none */
    bool has_plan;                      /* and its plan */
    /* What it has loaded, newest first (struct job_spec, affinity). */
    char holds[CLAIM_HOLDS_MAX][AFFINITY_MAX + 1];
    size_t hold_count;
};

/* How it ended. */
struct executor_end {
    bool was_ready, said_why;
    int status; /* as from waitpid */
    struct rusage usage;
};

/* Starts `argv`, with an empty environment but for what CUDA and libc need. The supervisor's end does not block.
 * `process` is as executor_process_reap leaves it, or zeros. child.failed, io, internal. */
bool executor_process_start(struct executor_process *process, const char *const *argv, struct error *err) must_check;
/* To be asked after a SIGCHLD: true when it has ended, and is reaped; *process is empty then. */
bool executor_process_reap(struct executor_process *process, struct executor_end *end);
/* Lets it end within `grace_ms`, by SIGTERM and then SIGKILL, which executor_process_push sends when they are due. An
 * earlier end that was asked for stands. */
void executor_process_end(struct executor_process *process, int64_t grace_ms);
/* It has stopped its job in time, and stays. */
void executor_process_spare(struct executor_process *process);
void executor_process_push(struct executor_process *process);
/* Ends it and waits: a second at most. */
void executor_process_close(struct executor_process *process);
/* "signal 11 (Segmentation fault), 512 MB at most, 3.1 s of processor time". Caller frees. */
char *executor_end_describe(const struct executor_end *end);
