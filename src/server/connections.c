#include "server/connections.h"

#include <pthread.h>

#include "base/memory.h"

enum { KEPT_MAX = 8 };

struct connections {
    char *url, *farm;
    struct queue_options options; /* its strings are the two above */
    /* Guards what follows. No connection is opened or closed while it is held, since that waits for Redis. */
    pthread_mutex_t lock;
    struct queue *kept[KEPT_MAX];
    size_t count;
};

struct connections *connections_new(const struct queue_options *options) {
    struct connections *connections = xnew(struct connections);
    connections->url = xstrdup(options->url);
    connections->farm = xstrdup(options->farm ? options->farm : "mela");
    connections->options = *options;
    connections->options.url = connections->url;
    connections->options.farm = connections->farm;
    pthread_mutex_init(&connections->lock, NULL);
    return connections;
}

void connections_free(struct connections *connections) {
    for (size_t i = 0; i < connections->count; i++)
        queue_close(connections->kept[i]);
    pthread_mutex_destroy(&connections->lock);
    free(connections->url);
    free(connections->farm);
    free(connections);
}

const struct queue_options *connections_options(const struct connections *connections) { return &connections->options; }

struct queue *connections_borrow(struct connections *connections, struct error *err) {
    struct queue *queue = NULL;
    pthread_mutex_lock(&connections->lock);
    if (connections->count > 0)
        queue = connections->kept[--connections->count];
    pthread_mutex_unlock(&connections->lock);
    return queue ? queue : queue_open(&connections->options, err);
}

void connections_return(struct connections *connections, struct queue *queue) {
    pthread_mutex_lock(&connections->lock);
    bool keep = connections->count < KEPT_MAX;
    if (keep)
        connections->kept[connections->count++] = queue;
    pthread_mutex_unlock(&connections->lock);
    if (!keep)
        queue_close(queue);
}
