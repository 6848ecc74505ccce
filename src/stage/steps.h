/* Time spent in each step of a job, added up over its threads, and behind the gate. */
#pragma once

#include "base/clock.h"
#include "stage/stage.h"

struct step_times {
    _Atomic int64_t ns[STEP_COUNT];
    int64_t entered, behind_gate_ns; /* the job's own thread passes the gate */
};

static inline int64_t step_start(void) { return clock_monotonic_ns(clock_system()); }

static inline void step_stop(struct step_times *times, enum step step, int64_t started) {
    atomic_fetch_add(&times->ns[step], clock_monotonic_ns(clock_system()) - started);
}

/* {"decode": 12.3, ...} in milliseconds, steps that took no time left out. New reference. */
json_t *step_times_to_json(const struct step_times *times);
