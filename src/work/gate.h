/* A gate lets one job of a process run its networks at a time, while another fetches before it and a third
 * encodes its end or uploads behind it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/cleanup.h"

struct gate;

struct gate *gate_new(void);
void gate_free(struct gate *gate);
DEFINE_CLEANUP(struct gate *, gate_free)
#define _cleanup_gate_ _cleanup_(gate_free_cleanup)

/* Waits for the turn; false when `cancel` was raised first. */
bool gate_enter(struct gate *gate, const atomic_bool *cancel);
void gate_leave(struct gate *gate);
