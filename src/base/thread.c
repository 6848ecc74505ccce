#include "base/thread.h"

#include "base/memory.h"

enum { NAME_BYTES = 16 }; /* with the NUL; a longer name is refused by pthread_setname_np */

/* What a new thread is to do; it frees this. */
struct thread_begin {
    char name[NAME_BYTES];
    void *(*run)(void *);
    void *context;
};

/* The thread names itself: to name another one is to write a file of /proc, which an executor may not. A name is only
 * for people: the result does not matter. */
static void *thread_begin(void *argument) {
    const struct thread_begin begin = *(struct thread_begin *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), begin.name);
    return begin.run(begin.context);
}

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context, struct error *err) {
    struct thread_begin *begin = xnew(struct thread_begin);
    *begin = (struct thread_begin){.run = run, .context = context};
    snprintf(begin->name, sizeof begin->name, "%s", name);
    int refused = pthread_create(thread, NULL, thread_begin, begin);
    if (!refused)
        return true;
    free(begin);
    return error_set_errno(err, ERR_INTERNAL, refused, "cannot start the thread \"%s\"", name);
}
