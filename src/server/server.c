#include "server/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

#include "base/address.h"
#include "base/emf.h"
#include "base/memory.h"
#include "scale/hold.h"
#include "server/cloudwatch.h"
#include "server/dispatch.h"
#include "server/housekeeping.h"
#include "server/route.h"

enum {
    CONNECTIONS_MAX = 512,
    /* One client, or one proxy, leaves some for the probes: without an answer to those the pod is restarted. */
    CONNECTIONS_PER_ADDRESS_MAX = 448,
    THREAD_STACK = 256 * 1024,     /* one for each connection; only what is touched costs memory */
    CONNECTION_MEMORY = 64 * 1024, /* well above the guard's limits, so that the guard is what answers */
    IDLE_TIMEOUT_S = 30,
    STOP_MS = 10000,
    CLOUDWATCH_PERIOD_MS = 60000,
};
static const int64_t upload_limit_default = 64LL << 30;

struct server {
    struct MHD_Daemon *daemon;
    struct keys *keys;
    struct heads *heads;
    struct api api;
    struct dispatch dispatch;
    char *cloudwatch_namespace;
    struct hold_keeper *holds;         /* NULL without policies */
    struct housekeeping *housekeeping; /* NULL until started, as is the next */
    struct cloudwatch *cloudwatch;
};

/* Paths and parameters are decoded by the guard, once; libmicrohttpd must not do it before. */
static size_t server_leave_encoded(void *context, struct MHD_Connection *connection, char *text) {
    return strlen(text);
}

static bool server_listen(struct server *server, const char *address, struct error *err) {
    _cleanup_address_ struct addrinfo *where = address_resolve(address, err);
    if (!where)
        return false;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_AUTO | MHD_USE_ITC |
                     (where->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    struct dispatch *dispatch = &server->dispatch;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, dispatch_call, dispatch, MHD_OPTION_SOCK_ADDR, where->ai_addr,
        MHD_OPTION_URI_LOG_CALLBACK, dispatch_target, dispatch, MHD_OPTION_NOTIFY_COMPLETED, dispatch_completed,
        dispatch, MHD_OPTION_NOTIFY_CONNECTION, heads_notify, server->heads, MHD_OPTION_UNESCAPE_CALLBACK,
        server_leave_encoded, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)server->api.idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_END);
    if (!server->daemon)
        return error_set_errno(err, ERR_CONFIG_INVALID, errno, "cannot listen on %s", address);
    return true;
}

/* One more than there are routes: for the requests that none matches. */
static struct traffic *traffic_of_routes(void) {
    _cleanup_free_ struct traffic_route *names = xnew_array(struct traffic_route, route_count + 1);
    for (size_t i = 0; i < route_count; i++)
        names[i] = (struct traffic_route){routes[i].method, routes[i].pattern};
    names[route_count] = (struct traffic_route){"", "none"};
    return traffic_new(names, route_count + 1);
}

static struct server *server_new(const struct server_options *options) {
    struct server *server = xnew(struct server);
    server->cloudwatch_namespace = xstrdup(options->emf);
    struct api *api = &server->api;
    api->connections = connections_new(&options->queue);
    api->clock = clock_system();
    api->lifetime = lifetime_new();
    api->policies = options->policies;
    api->last_counts = last_counts_new();
    api->traffic = traffic_of_routes();
    api->monitor = monitor_new();
    api->idle_timeout_s = options->idle_timeout_s ? options->idle_timeout_s : IDLE_TIMEOUT_S;
    server->heads = heads_new(api->clock, api->idle_timeout_s * 1000LL);
    return server;
}

/* Requests may come before the threads run: they need none of them. */
static bool server_begin(struct server *server, const struct server_options *options, struct error *err) {
    struct api *api = &server->api;
    server->keys = keys_load(options->keys_file, err);
    if (!server->keys)
        return false;
    api->store = store_open(options->store_url, options->store, err);
    if (!api->store)
        return false;
    int64_t upload_limit = options->upload_limit ? options->upload_limit : upload_limit_default;
    server->dispatch = (struct dispatch){api, server->keys, server->heads, upload_limit};
    if (!server_listen(server, options->address, err) || !heads_watch(server->heads, api->lifetime, err))
        return false;
    server->housekeeping = housekeeping_start(api, options->failure, err);
    if (!server->housekeeping)
        return false;
    if (server->cloudwatch_namespace) {
        int64_t period_ms = options->emf_period_ms ? options->emf_period_ms : CLOUDWATCH_PERIOD_MS;
        server->cloudwatch = cloudwatch_start(api, server->cloudwatch_namespace, period_ms, err);
        if (!server->cloudwatch)
            return false;
    }
    if (api->policies)
        server->holds = hold_keeper_start(connections_options(api->connections), api->policies, api->clock);
    return true;
}

struct server *server_start(const struct server_options *options, struct error *err) {
    if (options->emf && !emf_check_namespace(options->emf, err))
        return NULL;
    _cleanup_server_ struct server *server = server_new(options);
    return server_begin(server, options, err) ? steal(server) : NULL;
}

int server_port(const struct server *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* Frees what server_new made and server_begin opened, whose threads have ended. */
static void server_release(struct server *server) {
    struct api *api = &server->api;
    connections_free(api->connections);
    if (api->store)
        store_close(api->store);
    if (server->keys)
        keys_free(server->keys);
    traffic_free(api->traffic);
    monitor_free(api->monitor);
    last_counts_free(api->last_counts);
    heads_free(server->heads);
    lifetime_free(api->lifetime);
    free(server->cloudwatch_namespace);
    free(server);
}

/* Also of a server that did not start wholly. Nothing may be freed before MHD_stop_daemon has joined the threads of all
 * connections, since their requests use it. */
void server_stop(struct server *server) {
    MHD_socket listener = server->daemon ? MHD_quiesce_daemon(server->daemon) : MHD_INVALID_SOCKET;
    lifetime_end(server->api.lifetime, STOP_MS); /* requests may finish, event streams and threads end */
    if (server->housekeeping)
        housekeeping_stop(server->housekeeping);
    if (server->cloudwatch)
        cloudwatch_stop(server->cloudwatch);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    if (server->holds)
        hold_keeper_stop(server->holds);
    server_release(server);
}
