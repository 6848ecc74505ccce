#include "base/thread.h"

enum { NAME_BYTES = 16 }; /* with the NUL; a longer name is refused by pthread_setname_np */

/* The creator names the thread: `run` may be any function. A thread that has ended by now, or a machine without /proc,
 * cannot be named, and a name is only for people: the result does not matter. */
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context, struct error *err) {
    int refused = pthread_create(thread, NULL, run, context);
    if (refused)
        return error_set_errno(err, ERR_INTERNAL, refused, "cannot start the thread \"%s\"", name);
    char cut[NAME_BYTES];
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(*thread, cut);
    return true;
}
