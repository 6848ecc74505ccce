/* One of a worker's job slots: the job it runs, as its own thread, the heartbeat and the drain see it. */
#pragma once

#include <pthread.h>

#include "worker/worker.h"

/* Why a running job was told to stop. */
enum stop_reason { STOP_NONE, STOP_LOST, STOP_CANCELLED, STOP_DRAIN, STOP_TIMEOUT };

struct worker;

struct slot {
    struct worker *worker;
    struct queue *queue; /* this slot's own connection */
    int refusals;        /* calls in a row that Redis did not answer */
    pthread_t thread;
    pthread_mutex_t lock; /* guards busy and claim */
    bool busy;
    struct claim claim;
    _Atomic enum stop_reason reason;
    atomic_bool cancel;
    struct progress progress;
    /* The campaign of the job before, kept because the next job is mostly of the same one. */
    struct campaign *campaign;
    struct plan *plan;
};

/* What all slots share. */
struct worker {
    const struct worker_options *options;
    const char *id;
    struct store *store;
    struct cache *cache;
    struct models *models;
    struct gate *gate;
    char *scratch;
    pthread_mutex_t claiming; /* one slot waits for a job at a time */
    atomic_bool draining;
    atomic_bool is_leaving;       /* the machine is to be taken away */
    int leave;                    /* eventfd: is_leaving was set */
    _Atomic int64_t last_busy_ms; /* monotonic, as are the next two */
    _Atomic int64_t turned_ms;    /* when the heart's loop last began a turn */
    _Atomic int64_t answered_ms;  /* when Redis last answered the heart */
    atomic_bool loaded;           /* the models are, and the heart beats */
    struct exporter *exporter;    /* NULL: none */
    struct slot *slots;
    int slot_count;
};

/* The slot's thread: claims and runs jobs until the worker drains. */
void *slot_thread(void *slot);
/* Whether a slot has a job. */
bool worker_is_busy(struct worker *worker);
/* Copies the claim of a busy slot. */
bool slot_is_busy(struct slot *slot, struct claim *claim);
/* Tells the running job to stop, keeping the first reason. */
void slot_stop(struct slot *slot, enum stop_reason reason);
