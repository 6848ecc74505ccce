/* A bounded queue of pointers between threads: a full ring blocks its producers, an empty one its consumers. Any number
 * of threads may push, pop, close and abort at once. The ring does not own its items. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct ring;

/* `capacity`: at least 1. The caller frees it with ring_free. */
struct ring *ring_new(size_t capacity);
/* No thread may use the ring any more. Items that are still inside are lost: drain it first. */
void ring_free(struct ring *ring);
/* Passes the item to whoever pops it; blocks while full. False when the ring is closed or aborted: the item stays the
 * caller's. */
bool ring_push(struct ring *ring, void *item);
/* The oldest item, now the caller's; blocks while empty. NULL once closed and empty, or aborted. */
void *ring_pop(struct ring *ring);
/* Nothing more is pushed; what is inside can still be popped. */
void ring_close(struct ring *ring);
/* Stops both sides at once: nothing more is pushed or popped. */
void ring_abort(struct ring *ring);
/* An item that a closed or aborted ring still holds, now the caller's, without blocking; NULL when there is none. */
void *ring_drain(struct ring *ring);

DEFINE_CLEANUP(struct ring *, ring_free)
#define _cleanup_ring_ _cleanup_(ring_free_cleanup)
