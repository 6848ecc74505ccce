/* One of a worker's slots: an executor, and the job that it has. A job goes through the states below; what waits for a
 * network (the store) is done by a thread of the moment, a task, that is joined before the next step; all else, and
 * every word with Redis, by the supervisor's one thread. So there is no lock: between a task's start and its join the
 * supervisor reads and writes nothing of the slot but `cancel`. Private to this room. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "queue/queue.h"
#include "recover/receipt.h"
#include "worker/executor_process.h"
#include "worker/transfer.h"

enum slot_state {
    SLOT_FREE,
    SLOT_LOADING,    /* task: the campaign's spec and plan */
    SLOT_ASKING,     /* Redis, for the keys of what other jobs have made */
    SLOT_FETCHING,   /* task: the files that it reads */
    SLOT_WAITING,    /* for the executor, which starts */
    SLOT_COMPUTING,  /* the executor has it */
    SLOT_DELIVERING, /* task: the files that it wrote, and the receipt */
    SLOT_ENDING,     /* Redis, to finish, fail or release it */
};

/* Why a job was stopped; the first reason stands. Under STOP_DRAIN the lease is still ours and is renewed. */
enum stop_reason { STOP_NONE, STOP_LOST, STOP_CANCELLED, STOP_DRAIN, STOP_TIMEOUT };

/* How a job has ended, which Redis is to be told. */
enum outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_CRASHED };

struct worker;
struct slot;

typedef bool slot_task(struct slot *slot, struct error *err);

struct slot {
    struct worker *worker;
    int device;    /* index in the worker's devices */
    char *scratch; /* folder of its jobs' folders, which its executor alone may write to */
    struct executor_process executor;
    int64_t start_ms;  /* monotonic: when its executor was started, or not before when it is */
    int failed_starts; /* in a row */

    enum slot_state state;
    struct claim claim;
    struct log log;   /* of the job; points into the claim */
    int64_t began_ms; /* monotonic */
    enum stop_reason reason;
    atomic_bool cancel; /* a lone flag that the task looks at: any order would do */
    enum outcome outcome;
    struct error failure; /* FAILED and CRASHED: why */
    enum slot_state failed_in;
    struct progress progress; /* the executor's, or the task's */
    struct step_times times;  /* of the tasks */
    int asks;                 /* its turn for the device; 0: does not wait for it */

    struct campaign *campaign; /* of the last job, kept because the next one is mostly of the same */
    struct plan *plan;
    struct job_files files;
    json_t *artifacts; /* keys of what other jobs made, in the order of the files' sources */
    struct fetched fetched;
    char *folder; /* of the job's files */
    struct receipt receipt;

    /* The task. `done` is an eventfd that it writes to when it is over. */
    pthread_t thread;
    bool has_thread;
    int done;
    slot_task *task;
    bool task_good;
    struct error task_err;
};

/* An empty slot of the worker. io, disk.full, internal: to be closed nevertheless. */
bool slot_open(struct slot *slot, struct worker *worker, int device, struct error *err) must_check;
/* Its executor is ended; no task may run. */
void slot_close(struct slot *slot);

/* The free slot has this job from now on. */
void slot_begin(struct slot *slot, const struct claim *claim);
/* Stops the job, if there is one; the first reason stands. */
void slot_stop(struct slot *slot, enum stop_reason reason);
/* Goes on as far as it can without waiting; to be called after anything has happened. `redis` says whether Redis may be
 * asked now. */
void slot_step(struct slot *slot, bool redis);
/* The task is over: joins it. */
void slot_end_task(struct slot *slot);
/* A message of its executor has come, or its executor has gone. */
void slot_hear(struct slot *slot);
void slot_lose_executor(struct slot *slot, const struct executor_end *end);
/* Starts the executor if there is none and it is time to; ends one that does not get ready. */
void slot_start_executor(struct slot *slot);

static inline bool slot_is_busy(const struct slot *slot) { return slot->state != SLOT_FREE; }
/* Whether a job that is claimed now would soon begin. */
bool slot_is_willing(const struct slot *slot);
