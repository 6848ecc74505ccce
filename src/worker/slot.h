/* One of a worker's job slots: a thread, a connection to Redis, and the job that it has claimed, as the heart and the
 * drain see it. Private to this room. */
#pragma once

#include <pthread.h>

#include "worker/vitals.h"
#include "worker/worker.h"

/* Why a running job was stopped. Under STOP_DRAIN the lease is still ours: the heart goes on to renew it. */
enum stop_reason { STOP_NONE, STOP_LOST, STOP_CANCELLED, STOP_DRAIN, STOP_TIMEOUT };

struct worker;

struct slot {
    struct worker *worker;
    struct queue *queue; /* the slot's own connection, for its thread alone */
    int refusals;        /* calls in a row that Redis did not answer; of the slot's thread */
    pthread_t thread;
    /* Guards busy and claim against the other threads, and every write of reason, so that a stop never hits the job
     * after the one it was meant for. Held for a few instructions: nothing that waits, and no other lock, under it. */
    pthread_mutex_t lock;
    bool busy;
    struct claim claim; /* written by the slot's thread alone, which therefore reads it without the lock */
    /* Set once a job. Reading it outside the lock may miss a stop that comes this moment; that is safe, since Redis
     * refuses whatever is done with a lease that is lost. */
    _Atomic enum stop_reason reason;
    atomic_bool cancel; /* raised after reason was set; the job's threads poll it, and find out no more from it */
    struct progress progress;
    /* The campaign of the job before, kept because the next job is mostly of the same one. Of the slot's thread. */
    struct campaign *campaign;
    struct plan *plan;
};

/* What all slots share. Written before the threads start, where nothing else is said. */
struct worker {
    const struct worker_options *options;
    const char *id;
    struct store *store;
    struct cache *cache;
    struct models *models;
    struct gate *gate;
    char *scratch;
    /* Held by the slot that claims or waits for a job, while it calls Redis (seconds): a second one that waits would
     * take a wake-up away from another worker. A slot's lock may be locked under it, never the other way round. */
    pthread_mutex_t claiming;
    atomic_bool is_leaving; /* the machine is to be taken away; set before `leave` is written to */
    int leave;              /* eventfd */
    struct vitals vitals;
    struct exporter *exporter; /* NULL: none */
    struct slot *slots;
    int slot_count;
};

/* The slot's thread: claims and runs jobs until the worker drains. `slot` is a struct slot. */
void *slot_thread(void *slot);
/* Whether a slot has a job; for any thread. */
bool worker_is_busy(struct worker *worker);
/* Copies the slot's claim; true when it is busy, that is when the claim holds. For any thread. */
bool slot_is_busy(struct slot *slot, struct claim *claim);
/* Stops the running job, if there is one; the first reason stands. For any thread. */
void slot_stop(struct slot *slot, enum stop_reason reason);

/* What slot_thread does with a claim, in this order. Here for the tests. */

/* The slot becomes busy with the job; if the worker drains already, with a job that is stopped. */
void slot_begin(struct slot *slot, const struct claim *claim);
/* After the job ran: `done` with `result` under the key `artifact`, or failed with `failure`, whatever the artifact. A
 * result is published even if the drain stopped the job at the last moment. Else a drained job is released, a failed
 * one fails, and one that is not ours any more is left alone. */
void slot_end(struct slot *slot, bool done, const char *artifact, const struct work_result *result,
              const struct error *failure, const struct log *log);
/* The slot is idle. */
void slot_clear(struct slot *slot);
