/* The gate lets one job of a process at a time run its networks, while another fetches in front of it and a third
 * encodes its end or uploads behind it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/cleanup.h"

struct gate;

/* The caller frees it, when nobody is inside or waits. */
struct gate *gate_new(void);
void gate_free(struct gate *gate);
DEFINE_CLEANUP(struct gate *, gate_free)
#define _cleanup_gate_ _cleanup_(gate_free_cleanup)

/* Waits until nobody is inside, and enters: what the job before did behind the gate is then visible here. Those who
 * wait enter in no particular order. False, within a tenth of a second, when `cancel` is or becomes true first. */
bool gate_enter(struct gate *gate, const atomic_bool *cancel);
/* By the one inside, from whichever of its threads. */
void gate_leave(struct gate *gate);
