#include "base/thread.h"

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context, struct error *err) {
    int refused = pthread_create(thread, NULL, run, context);
    if (refused)
        return error_set_errno(err, ERR_INTERNAL, refused, "cannot start the thread %s", name);
    pthread_setname_np(*thread, name); /* the thread may have ended already; it is not joined yet, so its id is valid */
    return true;
}
