/* A bounded queue of pointers between threads: a full ring blocks its producers, an empty one its consumers. Any number
 * of threads may push and pop at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct ring;

/* A ring for up to `capacity` items; the caller frees it with ring_free. */
struct ring *ring_new(size_t capacity);
/* Nothing may still use the ring. Items left inside are the caller's to drain first. */
void ring_free(struct ring *ring);
/* Hands the item over; blocks while full. False when the ring is closed or aborted: the item stays the
 * caller's. */
bool ring_push(struct ring *ring, void *item);
/* The oldest item, now the caller's; blocks while empty. NULL once closed and empty, or aborted. */
void *ring_pop(struct ring *ring);
/* The producer is done: what is inside can still be popped. */
void ring_close(struct ring *ring);
/* Stops both sides at once. */
void ring_abort(struct ring *ring);
/* Takes what an aborted or closed ring still holds, without blocking; NULL when there is nothing. */
void *ring_drain(struct ring *ring);

DEFINE_CLEANUP(struct ring *, ring_free)
#define _cleanup_ring_ _cleanup_(ring_free_cleanup)
