/* An object on its way from the store to a client. A thread fetches it, some steps ahead of the client and no more: so
 * the store is asked in few requests, and a download holds 256 KiB whatever the object's size and the client's speed.
 * Private to this room. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "store/store.h"

struct download;

/* Of the bytes [first, first + length) of an object, which has them. Takes the key. Nothing is fetched yet: a HEAD
 * request never reads. */
struct download *download_new(struct store *store, char *key, int64_t first, int64_t length);
/* A content reader of libmicrohttpd with the download as its context: the next bytes, in order. When the store fails
 * it ends with an error: the client knows the length, and so that bytes are missing. */
ssize_t download_read(void *download, uint64_t position, char *out, size_t capacity);
/* Its end, early or not: fetches no more. */
void download_free(void *download);
