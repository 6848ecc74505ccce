/* How a worker does, as its probes and metrics show it. Written by the supervisor's thread, read by the exporter's and
 * the node's. Private to this room. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

/* Each is read and written alone and nothing else is published by it, so any order would do: they are atomic only to be
 * whole. The times are those of clock_monotonic_ms. */
struct vitals {
    atomic_bool loaded;           /* the networks of an executor are */
    atomic_bool busy;             /* has a job */
    _Atomic int64_t crashes;      /* executors that ended in the middle of a job */
    _Atomic int ill;              /* enum error_code: what it is ill of; ERR_NONE */
    atomic_bool draining;         /* claims nothing more */
    _Atomic int64_t turned_ms;    /* when the supervisor's loop last began a turn */
    _Atomic int64_t answered_ms;  /* when Redis last answered */
    _Atomic int64_t last_busy_ms; /* when a slot last had a job */
};
