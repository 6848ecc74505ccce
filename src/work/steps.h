/* The steps of a job and the time that it spent in each, added up over its threads, and behind the gate. */
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
    STEP_TEXT,
    STEP_DENOISE,
    STEP_ENCODE,
    STEP_UPLOAD,
    STEP_COUNT
};
/* "decode"; static. */
const char *step_name(enum step step);
/* The step of that name; STEP_FETCH for any other text. */
enum step step_parse(const char *name);

/* Start from zeros. */
struct step_times {
    /* Any thread of the job adds. Only the sums count, and they are read after the threads were joined: any memory
     * order would do. */
    _Atomic int64_t ns[STEP_COUNT];
    /* The job's own thread alone: when it entered the gate, and how long it was inside in all. */
    int64_t entered, behind_gate_ns;
};

/* A time to pass to step_stop. */
static inline int64_t step_start(void) { return clock_monotonic_ns(clock_system()); }

/* Adds the time since `started` to the step. Any thread. */
static inline void step_stop(struct step_times *times, enum step step, int64_t started) {
    atomic_fetch_add(&times->ns[step], clock_monotonic_ns(clock_system()) - started);
}

/* {"decode": 12, ...} in milliseconds, steps that took no time left out; after all threads were joined. New reference.
 */
json_t *step_times_to_json(const struct step_times *times);
