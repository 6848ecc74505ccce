#include "server/heads.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

enum { LOOK_MS = 500 };
static const int64_t nothing_awaited = INT64_MAX;

/* The socket context of a connection. */
struct head {
    int socket;
    int64_t end_ms; /* when it must be there, by the monotonic clock */
    struct head *previous, *next;
};

struct heads {
    const struct clock *clock;
    int64_t limit_ms;
    struct lifetime *lifetime; /* NULL: no thread */
    pthread_t thread;
    /* Guards the list and what is in it. A socket is shut down while it is held, which waits for nothing, and closed by
     * libmicrohttpd after it has left the list: so it cannot be another connection's by then. */
    pthread_mutex_t lock;
    struct head *first;
};

struct heads *heads_new(const struct clock *clock, int64_t limit_ms) {
    struct heads *heads = xnew(struct heads);
    heads->clock = clock;
    heads->limit_ms = limit_ms;
    pthread_mutex_init(&heads->lock, NULL);
    return heads;
}

static void heads_close_late(struct heads *heads) {
    int64_t now_ms = clock_monotonic_ms(heads->clock);
    pthread_mutex_lock(&heads->lock);
    for (struct head *head = heads->first; head; head = head->next)
        if (now_ms >= head->end_ms)
            shutdown(head->socket, SHUT_RDWR); /* its thread reads the end of the stream, and ends it */
    pthread_mutex_unlock(&heads->lock);
}

static void *heads_thread(void *context) {
    struct heads *heads = context;
    while (lifetime_sleep(heads->lifetime, LOOK_MS))
        heads_close_late(heads);
    return NULL;
}

bool heads_watch(struct heads *heads, struct lifetime *lifetime, struct error *err) {
    heads->lifetime = lifetime;
    if (thread_start(&heads->thread, "heads", heads_thread, heads, err))
        return true;
    heads->lifetime = NULL;
    return false;
}

void heads_free(struct heads *heads) {
    if (heads->lifetime)
        pthread_join(heads->thread, NULL);
    pthread_mutex_destroy(&heads->lock);
    free(heads);
}

static void heads_add(struct heads *heads, struct MHD_Connection *connection, void **socket_context) {
    struct head *head = xnew(struct head);
    head->socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    head->end_ms = clock_monotonic_ms(heads->clock) + heads->limit_ms;
    pthread_mutex_lock(&heads->lock);
    head->next = heads->first;
    if (head->next)
        head->next->previous = head;
    heads->first = head;
    pthread_mutex_unlock(&heads->lock);
    *socket_context = head;
}

static void heads_remove(struct heads *heads, struct head *head) {
    pthread_mutex_lock(&heads->lock);
    if (head->next)
        head->next->previous = head->previous;
    *(head->previous ? &head->previous->next : &heads->first) = head->next;
    pthread_mutex_unlock(&heads->lock);
    free(head);
}

void heads_notify(void *context, struct MHD_Connection *connection, void **socket_context,
                  enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        heads_add(context, connection, socket_context);
    else
        heads_remove(context, *socket_context);
}

static void heads_set_end(struct heads *heads, struct MHD_Connection *connection, int64_t end_ms) {
    struct head *head = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    pthread_mutex_lock(&heads->lock);
    head->end_ms = end_ms;
    pthread_mutex_unlock(&heads->lock);
}

void heads_await(struct heads *heads, struct MHD_Connection *connection) {
    heads_set_end(heads, connection, clock_monotonic_ms(heads->clock) + heads->limit_ms);
}

void heads_came(struct heads *heads, struct MHD_Connection *connection) {
    heads_set_end(heads, connection, nothing_awaited);
}
