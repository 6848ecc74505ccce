/* Objects written to S3: the writer's part of struct store_operations. Internal to the room. */
#pragma once

#include "store/backend.h"

/* As store/store.h says of store_writer_open and its fellows; errors are those of S3. */
struct store_writer *s3_writer_open(struct store *store, const char *key, int64_t size, struct error *err);
bool s3_writer_write(struct store_writer *writer, const void *data, size_t length, struct error *err);
bool s3_writer_commit(struct store_writer *writer, enum store_flags flags, struct error *err);
void s3_writer_free(struct store_writer *writer);
