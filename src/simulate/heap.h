/* A binary heap, least key first, equal keys by value. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

struct heap_entry {
    double key;
    int64_t value;
};

struct heap {
    struct heap_entry *entries; /* freed by the owner */
    size_t count, capacity;
};

static inline bool heap_before(const struct heap_entry *a, const struct heap_entry *b) {
    return a->key < b->key || (a->key == b->key && a->value < b->value);
}

static inline void heap_push(struct heap *heap, double key, int64_t value) {
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? 2 * heap->capacity : 4;
        heap->entries = (struct heap_entry *)xreallocarray(heap->entries, heap->capacity, sizeof *heap->entries);
    }
    struct heap_entry entry = {key, value};
    size_t at = heap->count++;
    for (; at > 0 && heap_before(&entry, &heap->entries[(at - 1) / 2]); at = (at - 1) / 2)
        heap->entries[at] = heap->entries[(at - 1) / 2];
    heap->entries[at] = entry;
}

/* Puts another entry in the place of the first one. */
static inline void heap_replace(struct heap *heap, struct heap_entry entry) {
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap_before(&heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (!heap_before(&heap->entries[child], &entry))
            break;
        heap->entries[at] = heap->entries[child];
    }
    heap->entries[at] = entry;
}

/* Removes and returns the first entry; there must be one. */
static inline struct heap_entry heap_pop(struct heap *heap) {
    struct heap_entry first = heap->entries[0], last = heap->entries[--heap->count];
    if (heap->count)
        heap_replace(heap, last);
    return first;
}
