/* How a worker does, as its probes and metrics show it. Written by the worker's threads, read by the exporter's.
 * Private to this room. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

/* Each is read and written alone and nothing else is published by it, so any order would do: they are atomic only to be
 * whole. The times are those of clock_monotonic_ms. */
struct vitals {
    atomic_bool loaded;           /* the models are, and the heart beats */
    atomic_bool draining;         /* claims nothing more; slot.c says how it is ordered against a claim */
    _Atomic int64_t turned_ms;    /* when the heart's loop last began a turn */
    _Atomic int64_t answered_ms;  /* when Redis last answered the heart */
    _Atomic int64_t last_busy_ms; /* when a slot last ended a job */
};
