#include "worker/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/memory.h"

/* A descriptor that holds the folder's lock until it is closed, -1 on failure. `how` as for flock. */
static int lock_folder(const char *path, int how) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || flock(folder, how) == 0)
        return folder;
    close(folder);
    return -1;
}

/* Removes what killed workers left: a live one holds a lock on its folder. */
static void scratch_sweep(const char *parent) {
    DIR *directory = opendir(parent);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        _cleanup_free_ char *path = xasprintf("%s/%s", parent, entry->d_name);
        _cleanup_close_ int lock = lock_folder(path, LOCK_EX | LOCK_NB);
        if (lock >= 0)
            tree_remove(path);
    }
    closedir(directory);
}

/* Makes a folder of this worker's own and locks it until the process ends: the descriptor is left open. One worker does
 * this at a time, since another's sweep would remove a folder that is made and not yet locked. */
char *scratch_make(const char *work_directory, struct error *err) {
    _cleanup_free_ char *parent = xasprintf("%s/scratch", work_directory);
    if (!directory_make(parent, err))
        return NULL;
    _cleanup_close_ int parent_lock = lock_folder(parent, LOCK_EX);
    if (parent_lock < 0) {
        error_set(err, ERR_IO, "cannot lock %s", parent);
        return NULL;
    }
    scratch_sweep(parent);
    _cleanup_free_ char *path = directory_make_temporary(parent, "worker", err);
    if (!path)
        return NULL;
    if (lock_folder(path, LOCK_EX | LOCK_NB) < 0) {
        error_set(err, ERR_IO, "cannot lock %s", path);
        return NULL;
    }
    return steal(path);
}
