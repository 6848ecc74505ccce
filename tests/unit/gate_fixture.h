/* A gate for a test's one job: counts who is inside. */
#pragma once

#include "work/gate.h"

struct counted_gate {
    struct gate gate;
    int inside;
};

static inline bool counted_enter(void *context, const atomic_bool *cancel) {
    struct counted_gate *gate = context;
    bool enters = !atomic_load(cancel);
    gate->inside += enters;
    return enters;
}

static inline void counted_leave(void *context) { ((struct counted_gate *)context)->inside--; }

/* `gate` stays where it is. */
static inline void counted_gate_init(struct counted_gate *gate) {
    *gate = (struct counted_gate){.gate = {counted_enter, counted_leave, gate}};
}
