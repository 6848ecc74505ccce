#include "server/server.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "base/emf.h"
#include "base/log.h"
#include "base/memory.h"
#include "scale/hold.h"
#include "server/emf.h"
#include "server/metrics.h"
#include "server/request.h"

enum {
    THREAD_STACK = 256 * 1024,     /* one for each connection; only what is touched costs memory */
    CONNECTION_MEMORY = 64 * 1024, /* well above the guard's limits, so that the guard is what answers */
    IDLE_TIMEOUT_S = 30,
    STOP_SECONDS = 10,
    EMF_PERIOD_MS = 60000,
};
static const int64_t upload_limit_default = 64LL << 30;

struct queue *server_queue_take(struct server *server, struct error *err) {
    struct queue *queue = NULL;
    pthread_mutex_lock(&server->lock);
    if (server->idle_count > 0)
        queue = server->idle[--server->idle_count];
    pthread_mutex_unlock(&server->lock);
    return queue ? queue : queue_open(&server->queue, err);
}

void server_queue_give(struct server *server, struct queue *queue) {
    pthread_mutex_lock(&server->lock);
    bool keep = server->idle_count < IDLE_QUEUES;
    if (keep)
        server->idle[server->idle_count++] = queue;
    pthread_mutex_unlock(&server->lock);
    if (!keep)
        queue_close(queue);
}

const struct scale_rule *server_rule(const struct server *server, enum pool pool) {
    return server->policies ? &server->policies->pools[pool].rule : &scale_rule_default;
}

bool server_sleep(struct server *server, int64_t ms) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += ms % 1000 * 1000000;
    end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    pthread_mutex_lock(&server->lock);
    while (!atomic_load(&server->stopping) && pthread_cond_timedwait(&server->change, &server->lock, &end) == 0)
        continue;
    pthread_mutex_unlock(&server->lock);
    return !atomic_load(&server->stopping);
}

/* Paths and parameters are decoded by the guard, once; libmicrohttpd must not do it before. */
static size_t leave_encoded(void *context, struct MHD_Connection *connection, char *text) { return strlen(text); }

static bool server_listen(struct server *server, const char *address, struct error *err) {
    _cleanup_address_ struct addrinfo *where = address_resolve(address, err);
    if (!where)
        return false;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_AUTO | MHD_USE_ITC |
                     (where->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_handle, server, MHD_OPTION_SOCK_ADDR, where->ai_addr, MHD_OPTION_URI_LOG_CALLBACK,
        request_new, server, MHD_OPTION_NOTIFY_COMPLETED, request_completed, server, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_encoded, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)server->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_END);
    if (!server->daemon)
        return error_set_errno(err, ERR_CONFIG_INVALID, errno, "cannot listen on %s", address);
    return true;
}

static void server_free(struct server *server) {
    if (server->holds)
        hold_keeper_stop(server->holds);
    for (size_t i = 0; i < server->idle_count; i++)
        queue_close(server->idle[i]);
    if (server->store)
        store_close(server->store);
    if (server->keys)
        keys_free(server->keys);
    metrics_free(server->metrics);
    pthread_cond_destroy(&server->change);
    pthread_mutex_destroy(&server->lock);
    free(server->redis_url);
    free(server->farm);
    free(server->emf);
    free(server);
}

static struct server *server_new(const struct server_options *options) {
    struct server *server = xnew(struct server);
    server->metrics = metrics_new();
    server->redis_url = xstrdup(options->queue.url);
    server->farm = xstrdup(options->queue.farm ? options->queue.farm : "mela");
    server->queue = options->queue;
    server->queue.url = server->redis_url;
    server->queue.farm = server->farm;
    server->policies = options->policies;
    server->emf = xstrdup(options->emf);
    server->emf_period_ms = options->emf_period_ms ? options->emf_period_ms : EMF_PERIOD_MS;
    server->failure = options->failure;
    server->upload_limit = options->upload_limit ? options->upload_limit : upload_limit_default;
    server->idle_timeout_s = options->idle_timeout_s ? options->idle_timeout_s : IDLE_TIMEOUT_S;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

struct server *server_start(const struct server_options *options, struct error *err) {
    if (options->emf && !emf_check_namespace(options->emf, err))
        return NULL;
    struct server *server = server_new(options);
    server->keys = keys_load(options->keys_file, err);
    server->store = server->keys ? store_open(options->store_url, options->store, err) : NULL;
    if (server->store && server_listen(server, options->address, err)) {
        pthread_create(&server->housekeeper, NULL, housekeeping_thread, server);
        if (server->emf)
            pthread_create(&server->emf_writer, NULL, emf_thread, server);
        if (server->policies)
            server->holds = hold_keeper_start(&server->queue, server->policies, clock_system());
        return server;
    }
    server_free(server);
    return NULL;
}

int server_port(const struct server *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* Requests that run may finish; event streams see `stopping` and end. */
static void server_drain(struct server *server) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += STOP_SECONDS;
    pthread_mutex_lock(&server->lock);
    atomic_store(&server->stopping, true);
    pthread_cond_broadcast(&server->change);
    for (int status = 0; server->running > 0 && status == 0;)
        status = pthread_cond_timedwait(&server->change, &server->lock, &end);
    pthread_mutex_unlock(&server->lock);
}

void server_stop(struct server *server) {
    MHD_socket listener = MHD_quiesce_daemon(server->daemon);
    server_drain(server);
    pthread_join(server->housekeeper, NULL);
    if (server->emf)
        pthread_join(server->emf_writer, NULL);
    MHD_stop_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    server_free(server);
}
