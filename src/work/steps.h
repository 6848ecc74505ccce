/* The steps of a job, and the time spent in each: added up over its threads, and behind the gate. */
#pragma once

#include <stdatomic.h>

#include "base/clock.h"
#include "base/json.h"

enum step {
    STEP_FETCH,
    STEP_DECODE,
    STEP_DETECT,
    STEP_LANDMARK,
    STEP_MEL,
    STEP_LIPS,
    STEP_ENHANCE,
    STEP_BLEND,
    STEP_ENCODE,
    STEP_UPLOAD,
    STEP_COUNT
};
const char *step_name(enum step step);

struct step_times {
    _Atomic int64_t ns[STEP_COUNT];
    int64_t entered, behind_gate_ns; /* the job's own thread passes the gate */
};

static inline int64_t step_start(void) { return clock_monotonic_ns(clock_system()); }

static inline void step_stop(struct step_times *times, enum step step, int64_t started) {
    atomic_fetch_add(&times->ns[step], clock_monotonic_ns(clock_system()) - started);
}

/* {"decode": 12, ...} in milliseconds, steps that took no time left out. New reference. */
json_t *step_times_to_json(const struct step_times *times);
