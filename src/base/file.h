/* Whole-file reads, atomic writes, directories, scratch space. */
#pragma once

#include <dirent.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends the file's bytes to `out`; fails with io, or store.too_large beyond `limit` bytes. */
bool file_read(const char *path, size_t limit, struct buffer *out, struct error *err) must_check;
/* Writes through a temporary name, fsync and rename: a reader sees the old file or the whole new one. */
bool file_write_atomic(const char *path, const void *data, size_t length, int mode, struct error *err) must_check;
/* mkdir -p with mode 0755; an existing directory is success. */
bool directory_make(const char *path, struct error *err) must_check;
/* Removes a file or a whole tree, best effort, following no links. A missing path is success. */
void tree_remove(const char *path);
/* Makes a new private directory below `parent` (which is made when missing); caller frees the path. */
char *directory_make_temporary(const char *parent, const char *prefix, struct error *err) must_check;

DEFINE_CLEANUP(DIR *, closedir)
#define _cleanup_closedir_ _cleanup_(closedir_cleanup)
