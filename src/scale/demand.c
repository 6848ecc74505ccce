#include "scale/demand.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"

enum {
    LOOK_MS = 1000, /* at most between two readings of the queue: a wait that any event ends */
    CALM_MS = 20,   /* at least, so that a stream of events costs little */
    EVENTS = 1000,  /* read at once */
};

struct demand {
    struct queue_options options; /* its strings are the ones below */
    char *url, *farm;
    pthread_t thread;
    atomic_bool stop; /* a lone flag, read once a turn; the join orders the rest */
    /* Guards what follows. Held for a copy and, when something changed, a write to the eventfd, which does not block;
     * Redis is never asked and no other lock locked under it. */
    pthread_mutex_t lock;
    bool known; /* there has been a picture */
    struct pool_counts counts[POOL_COUNT];
    int notify;
};

static bool counts_are_equal(const struct pool_counts *a, const struct pool_counts *b) {
    for (int class = 0; class < CLASS_COUNT; class ++)
        if (a->ready[class] != b->ready[class] || a->leased[class] != b->leased[class] ||
            a->delayed[class] != b->delayed[class] || a->held_until_ms[class] != b->held_until_ms[class])
            return false;
    return true;
}

static void demand_publish(struct demand *demand, const struct pool_counts counts[POOL_COUNT]) {
    pthread_mutex_lock(&demand->lock);
    bool changed = !demand->known;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        changed = changed || !counts_are_equal(&demand->counts[pool], &counts[pool]);
    memcpy(demand->counts, counts, sizeof demand->counts);
    demand->known = true;
    uint64_t one = 1;
    if (changed && demand->notify >= 0 && write(demand->notify, &one, sizeof one) < 0)
        log_write(NULL, LOG_ERROR, "scaler: the streams were not woken: %s", strerror(errno));
    pthread_mutex_unlock(&demand->lock);
}

static bool demand_look(struct demand *demand, struct queue *queue, struct error *err) {
    struct pool_counts counts[POOL_COUNT];
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (!queue_pool_counts(queue, (enum pool)pool, SCALE_COOL_DOWN_MS, &counts[pool], err))
            return false;
    demand_publish(demand, counts);
    return true;
}

bool demand_wait(struct queue *queue, char last[EVENT_ID_MAX + 1], struct error *err) {
    for (size_t count = EVENTS; count == EVENTS;) {
        _cleanup_json_ json_t *events = queue_events(queue, NULL, last, LOOK_MS, EVENTS, err);
        if (!events)
            return false;
        count = json_array_size(events);
        if (count > 0)
            snprintf(last, EVENT_ID_MAX + 1, "%s", json_get_string(json_array_get(events, count - 1), "id", "0"));
    }
    return true;
}

/* Reads the counts, then waits for the next event. The caller comes again at once, so a first job is known as it
 * comes. */
static bool demand_look_and_wait(struct demand *demand, struct queue *queue, char last[EVENT_ID_MAX + 1],
                                 struct error *err) {
    if (!demand_look(demand, queue, err))
        return false;
    clock_sleep_ms(clock_system(), CALM_MS);
    return demand_wait(queue, last, err);
}

static void *demand_watch(void *context) {
    struct demand *demand = context;
    _cleanup_queue_ struct queue *queue = NULL;
    char last[EVENT_ID_MAX + 1] = "0";
    for (bool answering = true; !atomic_load(&demand->stop);) {
        struct error err;
        if (!queue)
            queue = queue_open(&demand->options, &err);
        bool ok = queue && demand_look_and_wait(demand, queue, last, &err);
        if (ok != answering)
            log_write(NULL, ok ? LOG_INFO : LOG_ERROR, "scaler: %s", ok ? "Redis answers again" : err.message);
        answering = ok;
        if (ok)
            continue;
        snprintf(last, sizeof last, "0"); /* it may be another Redis, with events of its own */
        clock_sleep_ms(clock_system(), LOOK_MS);
    }
    return NULL;
}

struct demand *demand_start(const struct queue_options *options, struct error *err) {
    struct demand *demand = xnew(struct demand);
    demand->url = xstrdup(options->url);
    demand->farm = xstrdup(options->farm);
    demand->options = *options;
    demand->options.url = demand->url;
    demand->options.farm = demand->farm;
    demand->notify = -1;
    pthread_mutex_init(&demand->lock, NULL);
    if (thread_start(&demand->thread, "demand", demand_watch, demand, err))
        return demand;
    pthread_mutex_destroy(&demand->lock);
    free(demand->url);
    free(demand->farm);
    free(demand);
    return NULL;
}

void demand_stop(struct demand *demand) {
    atomic_store(&demand->stop, true);
    pthread_join(demand->thread, NULL);
    pthread_mutex_destroy(&demand->lock);
    free(demand->url);
    free(demand->farm);
    free(demand);
}

bool demand_get(struct demand *demand, enum pool pool, struct pool_counts *out) {
    pthread_mutex_lock(&demand->lock);
    bool known = demand->known;
    *out = demand->counts[pool];
    pthread_mutex_unlock(&demand->lock);
    return known;
}

void demand_notify(struct demand *demand, int descriptor) {
    pthread_mutex_lock(&demand->lock);
    demand->notify = descriptor;
    pthread_mutex_unlock(&demand->lock);
}

int demand_desired(const struct scale_rule *rule, const struct pool_counts *counts, int class) {
    struct scale_demand demand = scale_demand_of(counts);
    struct scale_answer answer = scale_desired(rule, &demand);
    return class == DEMAND_ALL ? answer.total : answer.workers[class];
}
