/* Where an object's bytes go as they arrive. Internal to the room. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* `write` gets the bytes in order, each once; false with *err set ends the transfer for good. */
struct sink {
    bool (*write)(void *context, const void *data, size_t length, struct error *err);
    void *context;
};

/* A sink's `write` into a file; `context` points to the descriptor. io or disk.full. */
bool sink_write_descriptor(void *context, const void *data, size_t length, struct error *err);

/* The context of sink_write_limited. */
struct sink_limit {
    struct buffer *out;
    size_t left; /* how many more bytes may come */
};
/* A sink's `write` into a buffer; store.too_large beyond the limit. */
bool sink_write_limited(void *context, const void *data, size_t length, struct error *err);
