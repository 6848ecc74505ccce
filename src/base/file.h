/* Whole-file reads, atomic writes, directories, scratch space. */
#pragma once

#include <dirent.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends the file's bytes to `out`. io when it cannot be read, store.too_large beyond `limit` bytes; `out` may then
 * hold a part of it. */
bool file_read(const char *path, size_t limit, struct buffer *out, struct error *err) must_check;
/* Renames and syncs the folder of `to`: after a success the new name outlasts a power cut. What is in the file is for
 * the caller to sync before. io or disk.full; the file may then have its new name all the same. */
bool file_rename(const char *from, const char *to, struct error *err) must_check;
/* Writes a temporary file beside `path`, syncs it and renames it (file_rename): a reader, also after a power cut, finds
 * the old file or the whole new one, after a success the new one. `mode`: permissions, whatever the umask. io or
 * disk.full. */
bool file_write_atomic(const char *path, const void *data, size_t length, int mode, struct error *err) must_check;
/* True for a relative path of plain parts, "unet/model.onnx": what it names lies below the folder that it is taken
 * from, links aside. */
bool path_is_plain(const char *path);
/* True when the file is in `folder` after every link was followed; false too when either is not there. */
bool path_is_inside(const char *path, const char *folder);
/* mkdir -p with mode 0755; an existing directory is success. io otherwise. */
bool directory_make(const char *path, struct error *err) must_check;
/* Removes a file or a whole tree, best effort, following no links. A missing path is success. */
void tree_remove(const char *path);
/* Makes a new private directory below `parent` (which is made when missing); the caller frees the path and removes the
 * directory. NULL with io. */
char *directory_make_temporary(const char *parent, const char *prefix, struct error *err) must_check;

DEFINE_CLEANUP(DIR *, closedir)
#define _cleanup_closedir_ _cleanup_(closedir_cleanup)
