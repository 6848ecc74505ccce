/* What the slots share. Written and read by the supervisor's thread alone, where nothing else is said. Private to this
 * room. */
#pragma once

#include "worker/illness.h"
#include "worker/slot.h"
#include "worker/vitals.h"
#include "worker/worker.h"

struct worker {
    const struct worker_options *options;
    const char *id;
    struct queue *queue;  /* for all that is answered at once */
    struct queue *waiter; /* for waiting: blocks in Redis while `waits` */
    bool waits;
    int64_t answer_ms;        /* monotonic: by then a wait has its answer, or none will come */
    struct store *store;      /* tasks use it too */
    atomic_bool leaves_store; /* ends what waits for the store: a lone flag, any order would do */
    struct cache *cache;      /* likewise */
    char *scratch;
    char *cache_folder;
    int64_t memory_mb; /* that an executor on the CPU may take */
    char *program;     /* file of the executors' program */
    bool on_card;      /* an executor said that it computes on one */
    struct slot *slots;
    int slot_count;
    struct slot **inside; /* by device: who computes on it */
    int turn;             /* the last one given to a slot that asked for a device */
    struct illness illness;
    bool start_failed;    /* the last executor that started did not get ready */
    bool failed_to_start; /* before any executor was ever ready; `illness.why` */
    int refusals;         /* calls in a row that Redis did not answer */
    int64_t redis_ms;     /* monotonic: not before then is Redis asked again */
    int64_t beat_ms;      /* when the next heartbeat is due */
    bool draining;
    int64_t deadline_ms; /* of the drain */
    int leave;           /* eventfd: the machine is to be taken away; any thread may write to it */
    struct vitals vitals;
    struct exporter *exporter; /* NULL: none */
};

/* Monotonic, in ms. */
int64_t worker_now(void);
/* A call on the queue has failed: true when Redis did not answer, so that it is asked again later, and by nobody
 * before.
 */
bool worker_waits_for_redis(struct worker *worker, const struct error *err);
/* Whether Redis may be asked now. */
bool worker_may_ask(const struct worker *worker);
/* Redis has answered. */
void worker_reached_redis(struct worker *worker);
/* A slot's job asks for its device, and needs it no more. */
void worker_enter_device(struct worker *worker, struct slot *slot);
void worker_leave_device(struct worker *worker, struct slot *slot);
/* An executor is ready, on a card or the CPU. */
void worker_note_start(struct worker *worker, bool on_card);
/* An executor did not start: this worker's fault. */
void worker_note_bad_start(struct worker *worker, const struct error *why);
/* The command line of a slot's executor. New array, NULL-terminated; its strings too are the caller's. */
char **worker_executor_command(const struct worker *worker, const struct slot *slot);
void worker_command_free(char ***command);

/* Renews the slots' leases and says that the worker lives; stops what is not ours any more. */
void worker_beat(struct worker *worker);
