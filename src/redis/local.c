#include "redis/local.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "redis/redis.h"

enum {
    START_MS = 120000, /* loading a large AOF takes time */
    STOP_MS = 30000,
    SOCKET_PATH_MAX = sizeof((struct sockaddr_un *)0)->sun_path - 1,
};

struct local_redis {
    pid_t pid; /* 0: not running */
    int lock;  /* descriptor of the lock file; -1: none */
    char *directory, *socket, *url, *log;
};

/* <directory>/redis.sock. Where that is too long for a socket: a directory of our own in $XDG_RUNTIME_DIR or /tmp,
 * whose name follows from `directory`, so that local_redis_find finds it too. */
static char *socket_path(const char *directory, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/redis.sock", directory);
    if (strlen(path) <= SOCKET_PATH_MAX)
        return steal(path);
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of(directory, strlen(directory), hash);
    hex_encode(hash, sizeof hash, hex);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!runtime || strlen(runtime) > SOCKET_PATH_MAX / 2)
        runtime = "/tmp";
    _cleanup_free_ char *parent = xasprintf("%s/mela-%.16s", runtime, hex);
    struct stat info;
    if (mkdir(parent, 0700) != 0 && errno != EEXIST) {
        error_set_errno(err, ERR_IO, errno, "cannot make %s", parent);
        return NULL;
    }
    /* Everybody may write to /tmp: another user may have made this directory so as to answer for our Redis. */
    if (lstat(parent, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077)) {
        error_set(err, ERR_IO, "%s is not a private directory of this user; remove it", parent);
        return NULL;
    }
    return xasprintf("%s/redis.sock", parent);
}

/* True once the server answers PING and has loaded its data. */
static bool local_redis_answers(const struct local_redis *redis) {
    struct error ignored;
    _cleanup_redis_ struct redis *connection = redis_open(redis->url, 2000, &ignored);
    if (!connection)
        return false;
    _cleanup_command_ struct command ping = {0};
    command_add(&ping, "PING");
    _cleanup_reply_ redisReply *reply = redis_run(connection, &ping, false, 0, &ignored);
    return reply != NULL;
}

/* A server that a killed parent left behind must not write the same files as ours: it saves and ends. It has ended when
 * nothing answers on its socket. Holding the directory's lock, we know that no living parent owns it. */
static bool stop_leftover(const struct local_redis *redis, struct error *err) {
    struct error ignored;
    _cleanup_command_ struct command shutdown = {0};
    command_add(&shutdown, "SHUTDOWN");
    for (int waited = 0; waited < STOP_MS; waited += 100) {
        _cleanup_redis_ struct redis *connection = redis_open(redis->url, 2000, &ignored);
        if (!connection) {
            unlink(redis->socket);
            return true;
        }
        /* A server that shuts down closes the connection instead of answering. */
        _cleanup_reply_ redisReply *reply = redis_run(connection, &shutdown, false, 0, &ignored);
        clock_sleep_ms(clock_system(), 100);
    }
    return error_set(err, ERR_CHILD_FAILED,
                     "another redis-server still serves %s and does not stop; end it and try again", redis->socket);
}

/* The lock is held as long as the server is ours, so that a second farm on this directory does not stop it as left
 * behind. */
static bool lock_directory(struct local_redis *redis, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/redis.lock", redis->directory);
    redis->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (redis->lock < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    return flock(redis->lock, LOCK_EX | LOCK_NB) == 0 ||
           error_set(err, ERR_CHILD_FAILED, "another farm is running on %s; stop it or choose another directory",
                     redis->directory);
}

/* The last line of the server's log; caller frees. */
static char *last_log_line(const char *path) {
    struct error ignored;
    _cleanup_buffer_ struct buffer log = {0};
    if (!file_read(path, 64 << 20, &log, &ignored) || !log.data)
        return xstrdup("its log is empty");
    while (log.length && log.data[log.length - 1] == '\n')
        log.data[--log.length] = '\0';
    char *newline = strrchr(log.data, '\n');
    return xstrdup(newline ? newline + 1 : log.data);
}

static bool wait_until_ready(struct local_redis *redis, struct error *err) {
    for (int waited = 0; waited < START_MS; waited += 10) {
        if (local_redis_answers(redis))
            return true;
        int status;
        if (child_wait(redis->pid, 0, &status)) {
            redis->pid = 0;
            _cleanup_free_ char *line = last_log_line(redis->log);
            return error_set(err, ERR_CHILD_FAILED, "redis-server ended while starting: %s (see %s)", line, redis->log);
        }
        clock_sleep_ms(clock_system(), 10);
    }
    return error_set(err, ERR_CHILD_FAILED, "redis-server did not answer within %d s; see %s", START_MS / 1000,
                     redis->log);
}

static bool local_redis_launch(struct local_redis *redis, struct error *err) {
    const char *const argv[] = {"redis-server",   "--port",           "0",   "--unixsocket",
                                redis->socket,    "--unixsocketperm", "700", "--dir",
                                redis->directory, "--appendonly",     "yes", "--appendfsync",
                                "everysec",       "--save",           "",    "--maxmemory-policy",
                                "noeviction",     "--daemonize",      "no",  NULL};
    if (truncate(redis->log, 0) != 0 && errno != ENOENT)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", redis->log);
    redis->pid = child_start(argv, &(struct child_options){.log_path = redis->log}, err);
    if (redis->pid > 0)
        return true;
    redis->pid = 0;
    return error_wrap(err, "the local queue needs redis-server 6.2 or later (apt install redis-server)");
}

struct local_redis *local_redis_start(const char *directory, struct error *err) {
    _cleanup_local_redis_ struct local_redis *redis = xnew(struct local_redis);
    redis->lock = -1;
    if (!directory_make(directory, err))
        return NULL;
    redis->directory = realpath(directory, NULL);
    if (!redis->directory) {
        error_set_errno(err, ERR_IO, errno, "cannot use %s", directory);
        return NULL;
    }
    redis->socket = lock_directory(redis, err) ? socket_path(redis->directory, err) : NULL;
    if (!redis->socket)
        return NULL;
    redis->url = xasprintf("unix://%s", redis->socket);
    redis->log = xasprintf("%s/redis.log", redis->directory);
    if (!stop_leftover(redis, err) || !local_redis_launch(redis, err) || !wait_until_ready(redis, err))
        return NULL;
    return steal(redis);
}

bool local_redis_tend(struct local_redis *redis, bool *restarted, struct error *err) {
    int status;
    *restarted = redis->pid <= 0 || child_wait(redis->pid, 0, &status);
    if (!*restarted)
        return true;
    redis->pid = 0;
    return local_redis_launch(redis, err) && wait_until_ready(redis, err);
}

char *local_redis_find(const char *directory) {
    struct error none;
    _cleanup_free_ char *real = realpath(directory, NULL), *path = real ? socket_path(real, &none) : NULL;
    return path && access(path, F_OK) == 0 ? xasprintf("unix://%s", path) : NULL;
}

const char *local_redis_url(const struct local_redis *redis) { return redis->url; }

/* Removes the directory that was made for a short socket path; it is empty once the server has ended. */
static void remove_socket_directory(struct local_redis *redis) {
    *strrchr(redis->socket, '/') = '\0';
    if (strcmp(redis->socket, redis->directory) != 0)
        rmdir(redis->socket);
}

void local_redis_stop(struct local_redis *redis) {
    if (redis->pid > 0)
        child_stop(redis->pid, STOP_MS);
    if (redis->socket)
        remove_socket_directory(redis);
    if (redis->lock >= 0)
        close(redis->lock);
    free(redis->directory);
    free(redis->socket);
    free(redis->url);
    free(redis->log);
    free(redis);
}
