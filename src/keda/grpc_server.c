/* The sockets of the gRPC server: TLS, time limits, and one loop for all connections.
 *
 * Everything but `stop` and `wake` is of the loop's thread from start to join, so there is no lock. Another thread
 * writes to `wake`, which the loop reads. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "keda/grpc_session.h"

enum {
    READ_BYTES = 16384, /* one TLS record; each connection is read once a turn, so that none holds up the others */
    EVENTS = 64,
    TICK_MS = 1000,
    WARN_MS = 200,   /* between the two GOAWAYs, for requests that are on their way */
    LEAVE_MS = 2000, /* for answers to get out */
};

struct connection {
    struct connection *next;
    int descriptor;
    SSL *tls; /* NULL: plain text */
    struct grpc_session *session;
    int64_t opened_ms, heard_ms, pinged_ms;
    const uint8_t *out; /* borrowed from the session */
    size_t out_length;
    bool is_secured, is_ending, is_over, wants_write; /* ending: over as soon as all is sent */
    uint32_t watched;
};

struct grpc_server {
    const struct grpc_method *methods;
    void *context;
    struct grpc_options files; /* certificate, key and ca: the server's own strings */
    SSL_CTX *tls;
    int64_t tls_stamp; /* of the files that `tls` was made from */
    int listener, poll, wake, all_streams, connection_count;
    struct connection *connections;
    pthread_t thread;
    atomic_bool stop; /* set before `wake` is written to, so the loop that it wakes sees it */
};

/* ---- bytes ---- */

enum { AGAIN = -1, BROKEN = -2 };

static ssize_t tls_result(struct connection *connection, int result) {
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(connection->tls, result);
    if (error == SSL_ERROR_NONE)
        return result;
    connection->wants_write |= error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? AGAIN : BROKEN;
}

static ssize_t plain_result(ssize_t result) {
    if (result > 0)
        return result;
    return result < 0 && (errno == EAGAIN || errno == EINTR) ? AGAIN : BROKEN;
}

static ssize_t connection_receive(struct connection *connection, void *bytes, size_t length) {
    ERR_clear_error();
    return connection->tls ? tls_result(connection, SSL_read(connection->tls, bytes, (int)length))
                           : plain_result(recv(connection->descriptor, bytes, length, 0));
}

static ssize_t connection_transmit(struct connection *connection, const void *bytes, size_t length) {
    ERR_clear_error();
    return connection->tls ? tls_result(connection, SSL_write(connection->tls, bytes, (int)MIN(length, READ_BYTES)))
                           : plain_result(send(connection->descriptor, bytes, length, MSG_NOSIGNAL));
}

/* ---- one connection ---- */

static void connection_free(struct connection *connection) {
    close(connection->descriptor);
    SSL_free(connection->tls);
    grpc_session_free(connection->session);
    free(connection);
}

/* False when it failed. gRPC over TLS is HTTP/2 that ALPN agreed on, nothing else. */
static bool connection_secure(struct connection *connection) {
    if (connection->is_secured)
        return true;
    ERR_clear_error();
    ssize_t result = tls_result(connection, SSL_accept(connection->tls));
    if (result < 0)
        return result == AGAIN;
    const unsigned char *protocol;
    unsigned length;
    SSL_get0_alpn_selected(connection->tls, &protocol, &length);
    connection->is_secured = true;
    return length == 2 && memcmp(protocol, "h2", 2) == 0;
}

/* Sends what there is to send, as far as the peer reads it. */
static bool connection_flush(struct connection *connection) {
    for (;;) {
        if (connection->out_length == 0)
            connection->out_length = grpc_session_take(connection->session, &connection->out);
        if (connection->out_length == 0)
            return true;
        ssize_t count = connection_transmit(connection, connection->out, connection->out_length);
        if (count < 0) {
            connection->wants_write |= count == AGAIN && !connection->tls;
            return count == AGAIN;
        }
        connection->out += count;
        connection->out_length -= (size_t)count;
    }
}

static bool connection_read(struct connection *connection) {
    char bytes[READ_BYTES];
    ssize_t count = connection_receive(connection, bytes, sizeof bytes);
    if (count < 0)
        return count == AGAIN;
    connection->heard_ms = clock_monotonic_ms(clock_system());
    connection->pinged_ms = 0;
    connection->is_ending = !grpc_session_feed(connection->session, bytes, (size_t)count, connection->heard_ms);
    return true;
}

/* One turn; false when the connection is over. Nothing is read while the peer does not read what it was sent. */
static bool connection_serve(struct connection *connection, bool readable) {
    connection->wants_write = false;
    if (!connection_secure(connection))
        return false;
    if (!connection->is_secured)
        return true;
    if (!connection_flush(connection))
        return false;
    bool reads = readable && connection->out_length == 0 && !connection->is_ending;
    if (reads && (!connection_read(connection) || !connection_flush(connection)))
        return false;
    return connection->out_length > 0 || (!connection->is_ending && !grpc_session_ended(connection->session));
}

static void connection_watch(struct grpc_server *server, struct connection *connection) {
    bool blocked = connection->out_length > 0 && connection->wants_write; /* TLS may have to read before it can write */
    uint32_t wanted = (blocked ? 0 : EPOLLIN) | (connection->wants_write ? EPOLLOUT : 0);
    struct epoll_event event = {.events = wanted, .data.ptr = connection};
    if (wanted != connection->watched)
        epoll_ctl(server->poll, EPOLL_CTL_MOD, connection->descriptor, &event);
    connection->watched = wanted;
}

/* Pings a silent peer and gives up a dead one; false when the connection is over. */
static bool connection_tick(struct connection *connection, int64_t now) {
    if (!grpc_session_greeted(connection->session))
        return now - connection->opened_ms < GRPC_REQUEST_MS;
    if (now - grpc_session_used_ms(connection->session, now) > GRPC_UNUSED_MS)
        return false;
    grpc_session_expire(connection->session, now);
    if (now - connection->heard_ms > GRPC_QUIET_MS && !connection->pinged_ms) {
        grpc_session_ping(connection->session);
        connection->pinged_ms = now;
    }
    return !connection->pinged_ms || now - connection->pinged_ms < GRPC_REQUEST_MS;
}

/* ---- TLS ---- */

static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *length, const unsigned char *offered,
                           unsigned offered_length, void *context) {
    static const unsigned char h2[] = "\x02h2";
    bool agreed = SSL_select_next_proto((unsigned char **)(uintptr_t)out, length, h2, 3, offered, offered_length) ==
                  OPENSSL_NPN_NEGOTIATED;
    return agreed ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool tls_failed(const char *what, const char *path, struct error *err) {
    char reason[256];
    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    return error_set(err, ERR_CONFIG_INVALID, "the scaler's %s %s cannot be used: %s", what, path, reason);
}

/* A number that changes when one of the files does. */
static int64_t tls_stamp(const struct grpc_options *files) {
    const char *const paths[] = {files->certificate, files->key, files->ca};
    int64_t stamp = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct stat info;
        if (paths[i] && stat(paths[i], &info) == 0)
            stamp = stamp * 31 + info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec + (int64_t)info.st_ino;
    }
    return stamp;
}

static bool tls_load(SSL_CTX *tls, const struct grpc_options *files, struct error *err) {
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(tls, files->certificate) != 1)
        return tls_failed("certificate", files->certificate, err);
    if (SSL_CTX_use_PrivateKey_file(tls, files->key, SSL_FILETYPE_PEM) != 1)
        return tls_failed("key", files->key, err);
    if (!files->ca)
        return true;
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SSL_CTX_load_verify_locations(tls, files->ca, NULL) == 1 ||
           tls_failed("certificate authority", files->ca, err);
}

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

/* Reads the files, for new connections; open ones keep what they have. */
static bool tls_open(struct grpc_server *server, struct error *err) {
    const struct grpc_options *files = &server->files;
    if (!files->certificate && !files->key && !files->ca)
        return true;
    if (!files->certificate || !files->key)
        return error_set(err, ERR_CONFIG_INVALID, "TLS for the scaler needs a certificate and its key");
    ERR_clear_error();
    int64_t stamp = tls_stamp(files);
    _cleanup_(SSL_CTX_free_cleanup) SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls)
        return tls_failed("certificate", files->certificate, err);
    if (!tls_load(tls, files, err))
        return false;
    SSL_CTX_free(server->tls);
    server->tls = steal(tls);
    server->tls_stamp = stamp;
    return true;
}

/* Certificates are renewed while we run; a half-written pair is tried again at the next connection. */
static void tls_renew(struct grpc_server *server) {
    struct error err;
    if (!server->tls || tls_stamp(&server->files) == server->tls_stamp)
        return;
    if (tls_open(server, &err))
        log_write(NULL, LOG_INFO, "scaler: the certificate was renewed");
    else
        log_write(NULL, LOG_WARN, "%s; the old one stays", err.message);
}

/* ---- the loop ---- */

static void connection_turn(struct grpc_server *server, struct connection *connection, bool readable) {
    if (connection->is_over || !connection_serve(connection, readable))
        connection->is_over = true; /* freed by sweep: an event of this turn may still name it */
    else
        connection_watch(server, connection);
}

static void grpc_sweep(struct grpc_server *server) {
    for (struct connection **link = &server->connections; *link;) {
        struct connection *connection = *link;
        if (connection->is_over) {
            *link = connection->next;
            server->connection_count--;
            connection_free(connection);
        } else {
            link = &connection->next;
        }
    }
}

static void connection_add(struct grpc_server *server, int descriptor) {
    struct connection *connection = xnew(struct connection);
    *connection = (struct connection){.next = server->connections,
                                      .descriptor = descriptor,
                                      .opened_ms = clock_monotonic_ms(clock_system()),
                                      .is_secured = !server->tls,
                                      .watched = EPOLLIN};
    connection->heard_ms = connection->opened_ms;
    connection->session =
        grpc_session_new(server->methods, server->context, &server->all_streams, connection->opened_ms);
    server->connections = connection;
    server->connection_count++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int one = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (server->tls) {
        connection->tls = SSL_new(server->tls);
        SSL_set_fd(connection->tls, descriptor);
    }
    connection->is_over = epoll_ctl(server->poll, EPOLL_CTL_ADD, descriptor, &event) != 0;
}

/* A connection too many is closed at once: its client goes to another replica or comes again. */
static void connection_accept(struct grpc_server *server) {
    int descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    bool has_room = descriptor >= 0 && server->connection_count < GRPC_CONNECTIONS_MAX;
    if (has_room) {
        tls_renew(server);
        connection_add(server, descriptor);
    } else if (descriptor >= 0) {
        close(descriptor);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        clock_sleep_ms(clock_system(), 50); /* it stays readable */
    }
}

static void connection_each(struct grpc_server *server, void (*act)(struct grpc_session *session)) {
    for (struct connection *connection = server->connections; connection; connection = connection->next) {
        act(connection->session);
        connection_turn(server, connection, false);
    }
}

static void connection_tick_all(struct grpc_server *server) {
    int64_t now = clock_monotonic_ms(clock_system());
    for (struct connection *connection = server->connections; connection; connection = connection->next) {
        connection->is_over = !connection_tick(connection, now);
        connection_turn(server, connection, false);
    }
}

static void grpc_work(struct grpc_server *server, int timeout_ms) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server->poll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        uint64_t woken;
        if (events[i].data.ptr == &server->listener)
            connection_accept(server);
        else if (events[i].data.ptr != &server->wake)
            connection_turn(server, events[i].data.ptr, events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR));
        else if (read(server->wake, &woken, sizeof woken) == (ssize_t)sizeof woken)
            connection_each(server, grpc_session_refresh);
    }
    grpc_sweep(server);
}

static void grpc_work_until(struct grpc_server *server, int64_t end) {
    for (int64_t left; server->connections && (left = end - clock_monotonic_ms(clock_system())) > 0;)
        grpc_work(server, (int)left);
}

static void *grpc_loop(void *context) {
    struct grpc_server *server = context;
    for (int64_t ticked = clock_monotonic_ms(clock_system()); !atomic_load(&server->stop);) {
        grpc_work(server, server->connections ? TICK_MS : -1);
        if (clock_monotonic_ms(clock_system()) - ticked < TICK_MS)
            continue;
        ticked = clock_monotonic_ms(clock_system());
        connection_tick_all(server);
        grpc_sweep(server);
    }
    close(server->listener);
    server->listener = -1;
    connection_each(server, grpc_session_warn);
    grpc_work_until(server, clock_monotonic_ms(clock_system()) + WARN_MS);
    connection_each(server, grpc_session_leave);
    grpc_sweep(server);
    grpc_work_until(server, clock_monotonic_ms(clock_system()) + LEAVE_MS);
    return NULL;
}

/* ---- start and stop ---- */

static bool grpc_watch_own(struct grpc_server *server, int *descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = descriptor};
    return *descriptor >= 0 && epoll_ctl(server->poll, EPOLL_CTL_ADD, *descriptor, &event) == 0;
}

static bool grpc_listen(struct grpc_server *server, const char *address, struct error *err) {
    _cleanup_address_ struct addrinfo *where = address_resolve(address, err);
    if (!where)
        return false;
    int one = 1;
    server->listener = socket(where->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener >= 0)
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return (server->listener >= 0 && bind(server->listener, where->ai_addr, where->ai_addrlen) == 0 &&
            listen(server->listener, SOMAXCONN) == 0) ||
           error_set_errno(err, ERR_CONFIG_INVALID, errno, "the scaler cannot listen on %s", address);
}

static void grpc_free(struct grpc_server *server) {
    for (struct connection *connection; (connection = server->connections);) {
        server->connections = connection->next;
        connection_free(connection);
    }
    cleanup_close_descriptor(&server->listener);
    cleanup_close_descriptor(&server->poll);
    cleanup_close_descriptor(&server->wake);
    SSL_CTX_free(server->tls);
    free((char *)server->files.certificate);
    free((char *)server->files.key);
    free((char *)server->files.ca);
    free(server);
}

static bool grpc_open(struct grpc_server *server, const struct grpc_options *options, struct error *err) {
    server->poll = epoll_create1(EPOLL_CLOEXEC);
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!tls_open(server, err) || !grpc_listen(server, options->address, err))
        return false;
    if (!grpc_watch_own(server, &server->listener) || !grpc_watch_own(server, &server->wake))
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot start the scaler");
    return thread_start(&server->thread, "grpc", grpc_loop, server, err);
}

struct grpc_server *grpc_start(const struct grpc_options *options, struct error *err) {
    struct grpc_server *server = xnew(struct grpc_server);
    *server = (struct grpc_server){
        .methods = options->methods, .context = options->context, .listener = -1, .poll = -1, .wake = -1};
    server->files = (struct grpc_options){
        .certificate = xstrdup(options->certificate), .key = xstrdup(options->key), .ca = xstrdup(options->ca)};
    if (grpc_open(server, options, err))
        return server;
    grpc_free(server);
    return NULL;
}

int grpc_port(const struct grpc_server *server) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    getsockname(server->listener, (struct sockaddr *)&address, &length);
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

int grpc_wake(const struct grpc_server *server) { return server->wake; }

void grpc_stop(struct grpc_server *server) {
    uint64_t one = 1;
    atomic_store(&server->stop, true);
    if (write(server->wake, &one, sizeof one) < 0)
        log_write(NULL, LOG_ERROR, "scaler: %s", strerror(errno));
    pthread_join(server->thread, NULL);
    grpc_free(server);
}
