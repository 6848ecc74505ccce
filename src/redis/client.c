/* One connection to Redis: commands, the URL, deadlines, sending again. */
#include "redis/redis.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"
#include "redis/tls.h"
#include "redis/url.h"

struct redis {
    redisContext *context; /* NULL: not connected */
    char *host, *path;     /* one of them is set: TCP or unix socket */
    int port, timeout_ms;
    char *user, *password; /* NULL: none */
    char *database;        /* NULL: 0 */
    char *ca;              /* file with the authorities to trust; NULL: the system's */
    struct redis_tls *tls; /* NULL: plain */
    int64_t deadline_ms;   /* of the call that runs, by the monotonic clock */
    int limit_ms;          /* of one read or write, as the socket has it now; 0: not set yet */
};

/* ---- commands ---- */

static void command_add_bytes(struct command *command, const char *data, size_t length) {
    buffer_append(&command->body, "$", 1);
    buffer_append_integer(&command->body, (int64_t)length);
    buffer_append(&command->body, "\r\n", 2);
    buffer_append(&command->body, data, length);
    buffer_append(&command->body, "\r\n", 2);
    command->count++;
}

void command_add(struct command *command, const char *text) { command_add_bytes(command, text, strlen(text)); }

void command_add_integer(struct command *command, int64_t value) {
    _cleanup_buffer_ struct buffer text = {0};
    buffer_append_integer(&text, value);
    command_add_bytes(command, text.data, text.length);
}

void command_add_number(struct command *command, double value) {
    char text[48];
    snprintf(text, sizeof text, "%.3f", value);
    command_add(command, text);
}

void command_free(struct command *command) { buffer_free(&command->body); }

/* ---- the URL ---- */

static bool bad_url(struct error *err, const char *why) {
    return error_set(err, ERR_QUEUE_CONFIG,
                     "%s; give redis://[user:password@]host:port[/database], rediss://...[?ca=FILE] or "
                     "unix:///path/to/redis.sock",
                     why);
}

/* "%41" becomes "A". New string; NULL for an empty range. */
static char *percent_decoded(const char *text, size_t length) {
    if (length == 0)
        return NULL;
    char *out = xstrndup(text, length), *end = out;
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        if (text[i] == '%' && i + 2 < length && sscanf(text + i + 1, "%2x", &byte) == 1) {
            *end++ = (char)byte;
            i += 2;
        } else {
            *end++ = text[i];
        }
    }
    *end = '\0';
    return out;
}

/* "user:password@" or ":password@", or nothing; returns what follows it. */
static const char *parse_credentials(struct redis *redis, const char *text) {
    const char *at = strrchr(text, '@'), *colon = strchr(text, ':');
    if (!at)
        return text;
    if (!colon || colon > at)
        colon = at;
    redis->user = percent_decoded(text, (size_t)(colon - text));
    if (colon < at)
        redis->password = percent_decoded(colon + 1, (size_t)(at - colon - 1));
    return at + 1;
}

/* "host:port/database", "[::1]:6379". */
static bool parse_address(struct redis *redis, const char *text, struct error *err) {
    bool bracket = text[0] == '[';
    size_t host = bracket ? strcspn(text + 1, "]") : strcspn(text, ":/");
    redis->host = xstrndup(text + bracket, host);
    text += bracket + host;
    if (bracket && *text++ != ']')
        return bad_url(err, "the Redis URL has no ] after its address");
    redis->port = 6379;
    if (*text == ':')
        redis->port = (int)strtol(text + 1, (char **)(uintptr_t)&text, 10);
    if (host == 0 || redis->port < 1 || redis->port > 65535 || (*text && *text != '/'))
        return bad_url(err, "the Redis URL has no valid host and port");
    if (text[0] == '/' && text[1])
        redis->database = xstrdup(text + 1);
    return true;
}

/* What follows "rediss://". */
static bool parse_tls(struct redis *redis, const char *text, struct error *err) {
    const char *query = strstr(text, "?ca=");
    _cleanup_free_ char *address = query ? xstrndup(text, (size_t)(query - text)) : xstrdup(text);
    redis->ca = query ? percent_decoded(query + 4, strlen(query + 4)) : NULL;
    if (!parse_address(redis, parse_credentials(redis, address), err))
        return false;
    redis->tls = redis_tls_open(redis->ca, err);
    return redis->tls != NULL;
}

static bool parse_url(struct redis *redis, const char *url, struct error *err) {
    if (strncmp(url, "unix://", 7) == 0) {
        if (url[7] != '/' || strlen(url + 7) > 107)
            return bad_url(err, "the socket's path must start with / and have at most 107 characters");
        redis->path = xstrdup(url + 7);
        return true;
    }
    if (strncmp(url, "rediss://", 9) == 0)
        return parse_tls(redis, url + 9, err);
    if (strncmp(url, "redis://", 8) != 0)
        return bad_url(err, "the Redis URL has an unknown scheme");
    return parse_address(redis, parse_credentials(redis, url + 8), err);
}

/* ---- the connection ---- */

static void redis_disconnect(struct redis *redis) {
    if (redis->context)
        redisFree(redis->context);
    redis->context = NULL;
}

/* hiredis reports a read or write that ran out of time as an I/O error with EAGAIN. */
static bool timed_out(const struct redis *redis) {
    return redis->context && redis->context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Closes the connection and says why: the late reply to this command would answer the next one. */
static bool connection_failed(struct redis *redis, struct error *err) {
    const char *reason = redis->context ? redis->context->errstr : "out of memory";
    if (timed_out(redis))
        reason = "no answer within the time limit";
    error_set(err, ERR_QUEUE_UNAVAILABLE, "Redis at %s: %s", redis->path ? redis->path : redis->host, reason);
    redis_disconnect(redis);
    return false;
}

static bool reply_begins(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* Which error an error reply of Redis is. When the server is a replica, also one that was the primary a moment ago and
 * has just ended its clients' waits (UNBLOCKED), the connection is closed: the next call resolves the name again and
 * may find the new primary. */
static bool command_refused(struct redis *redis, const char *message, struct error *err) {
    static const char *const later[] = {
        "LOADING",  "BUSY",     "MASTERDOWN",  "READONLY",   "OOM",
        "MISCONF",  "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "ERR max number of clients",
        "UNBLOCKED"};
    static const char *const replica[] = {"READONLY", "MASTERDOWN", "UNBLOCKED"};
    static const char *const setup[] = {"NOAUTH",       "WRONGPASS", "NOPERM", "ERR invalid DB",
                                        "ERR DB index", "ERR AUTH",  "MOVED"};
    enum error_code code = ERR_INTERNAL;
    for (size_t i = 0; i < ARRAY_LENGTH(later); i++)
        if (reply_begins(message, later[i]))
            code = ERR_QUEUE_UNAVAILABLE;
    for (size_t i = 0; i < ARRAY_LENGTH(setup); i++)
        if (reply_begins(message, setup[i]))
            code = ERR_QUEUE_CONFIG;
    error_set(err, code, "Redis: %s", message);
    for (size_t i = 0; i < ARRAY_LENGTH(replica); i++)
        if (reply_begins(message, replica[i]))
            redis_disconnect(redis);
    return false;
}

static struct timeval milliseconds(int ms) {
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void redis_begin_call(struct redis *redis, int extra_ms) {
    redis->deadline_ms = clock_monotonic_ms(clock_system()) + redis->timeout_ms + extra_ms;
}

/* Limits the next read or write to what is left of the call's time, so that a server which trickles cannot stretch it.
 * The socket keeps the limit that it has while that is at most an eighth too long, since a change costs two system
 * calls. */
static bool limit_next_wait(struct redis *redis) {
    int64_t left = redis->deadline_ms - clock_monotonic_ms(clock_system());
    redisContext *context = redis->context;
    if (left <= 0) {
        context->err = REDIS_ERR_IO;
        errno = EAGAIN;
        return false;
    }
    if (left <= redis->limit_ms && left > redis->limit_ms - redis->limit_ms / 8)
        return true;
    redis->limit_ms = (int)left;
    return redisSetTimeout(context, milliseconds((int)left)) == REDIS_OK;
}

/* False when the connection broke or the call's time is over; so with redis_read. */
static bool redis_write(struct redis *redis, const struct command *command) {
    redisContext *context = redis->context;
    char header[24];
    int length = snprintf(header, sizeof header, "*%d\r\n", command->count), sent = 0;
    if (redisAppendFormattedCommand(context, header, (size_t)length) != REDIS_OK ||
        redisAppendFormattedCommand(context, command->body.data, command->body.length) != REDIS_OK)
        return false;
    while (!sent)
        if (!limit_next_wait(redis) || redisBufferWrite(context, &sent) != REDIS_OK)
            return false;
    return true;
}

static redisReply *redis_read(struct redis *redis) {
    redisReply *reply = NULL;
    while (!reply)
        if (!limit_next_wait(redis) || redisBufferRead(redis->context) != REDIS_OK ||
            redisGetReplyFromReader(redis->context, (void **)&reply) != REDIS_OK)
            return NULL;
    return reply;
}

/* Sends a command over a live connection and reads the reply; NULL when the connection broke or the call's time is
 * over. */
static redisReply *redis_exchange(struct redis *redis, const struct command *command) {
    return redis_write(redis, command) ? redis_read(redis) : NULL;
}

/* A command of the greeting, whose refusal is final: an error closes the connection. */
static bool redis_greet(struct redis *redis, const struct command *command, struct error *err) {
    _cleanup_reply_ redisReply *reply = redis_exchange(redis, command);
    if (!reply)
        return connection_failed(redis, err);
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    command_refused(redis, reply->str, err);
    redis_disconnect(redis);
    return false;
}

static bool authenticate(struct redis *redis, struct error *err) {
    if (redis->password) {
        _cleanup_command_ struct command auth = {0};
        command_add(&auth, "AUTH");
        if (redis->user)
            command_add(&auth, redis->user);
        command_add(&auth, redis->password);
        if (!redis_greet(redis, &auth, err))
            return false;
    }
    if (!redis->database)
        return true;
    _cleanup_command_ struct command select = {0};
    command_add(&select, "SELECT");
    command_add(&select, redis->database);
    return redis_greet(redis, &select, err);
}

/* True when the peer has closed the connection, or when there are bytes that no command asked for, which would be read
 * as the next reply. In TLS bytes may be there: session tickets, which OpenSSL handles. */
static bool is_dead(const struct redis *redis) {
    char byte;
    ssize_t got = recv(redis->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 ? !redis->tls : got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static bool redis_connect(struct redis *redis, struct error *err) {
    if (redis->context && is_dead(redis))
        redis_disconnect(redis);
    if (redis->context)
        return true;
    struct timeval limit = milliseconds((int)MAX(redis->deadline_ms - clock_monotonic_ms(clock_system()), 1));
    redis->context = redis->path ? redisConnectUnixWithTimeout(redis->path, limit)
                                 : redisConnectWithTimeout(redis->host, redis->port, limit);
    redis->limit_ms = 0;
    if (!redis->context || redis->context->err || !limit_next_wait(redis))
        return connection_failed(redis, err);
    if (!redis->path)
        redisEnableKeepAlive(redis->context);
    if (redis->tls && !redis_tls_start(redis->tls, redis->context, redis->host, err)) {
        redis_disconnect(redis);
        return false;
    }
    return authenticate(redis, err);
}

/* *severed: the connection broke after the command may have been sent, and not because the deadline passed. */
static redisReply *redis_send_once(struct redis *redis, const struct command *command, bool *severed,
                                   struct error *err) {
    *severed = false;
    if (!redis_connect(redis, err))
        return NULL;
    redisReply *reply = redis_exchange(redis, command);
    *severed = !reply && !timed_out(redis);
    if (!reply)
        connection_failed(redis, err);
    return reply;
}

/* As redis_run, but within the deadline of a call that has begun, and error replies are returned too. */
static redisReply *redis_send(struct redis *redis, const struct command *command, bool repeatable, struct error *err) {
    bool severed;
    redisReply *reply = redis_send_once(redis, command, &severed, err);
    if (severed && repeatable)
        reply = redis_send_once(redis, command, &severed, err);
    return reply;
}

/* NULL, with the error, for an error reply, which is freed, and for none. */
static redisReply *redis_judge(struct redis *redis, redisReply *reply, struct error *err) {
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return reply;
    command_refused(redis, reply->str, err);
    freeReplyObject(reply);
    return NULL;
}

redisReply *redis_run(struct redis *redis, const struct command *command, bool repeatable, int extra_ms,
                      struct error *err) {
    redis_begin_call(redis, extra_ms);
    return redis_judge(redis, redis_send(redis, command, repeatable, err), err);
}

bool redis_post(struct redis *redis, const struct command *command, int wait_ms, struct error *err) {
    redis_begin_call(redis, wait_ms);
    return redis_connect(redis, err) && (redis_write(redis, command) || connection_failed(redis, err));
}

int redis_descriptor(const struct redis *redis) { return redis->context ? redis->context->fd : -1; }

redisReply *redis_collect(struct redis *redis, struct error *err) {
    redisReply *reply = redis->context ? redis_read(redis) : NULL;
    if (!reply)
        connection_failed(redis, err);
    return redis_judge(redis, reply, err);
}

void redis_hang_up(struct redis *redis) { redis_disconnect(redis); }

redisReply *redis_run_script(struct redis *redis, const struct script *script, const char *key,
                             const struct command *arguments, bool repeatable, struct error *err) {
    _cleanup_command_ struct command command = {0};
    command_add(&command, "EVALSHA");
    command_add(&command, script->sha1);
    command_add(&command, "1");
    command_add(&command, key);
    command.count += arguments->count;
    buffer_append(&command.body, arguments->body.data, arguments->body.length);
    redis_begin_call(redis, 0);
    _cleanup_reply_ redisReply *reply = redis_send(redis, &command, repeatable, err);
    if (reply && reply->type == REDIS_REPLY_ERROR && reply_begins(reply->str, "NOSCRIPT")) {
        _cleanup_command_ struct command load = {0};
        command_add(&load, "SCRIPT");
        command_add(&load, "LOAD");
        command_add(&load, script->text);
        _cleanup_reply_ redisReply *loaded = redis_send(redis, &load, true, err);
        if (!loaded)
            return NULL;
        freeReplyObject(steal(reply));
        reply = redis_send(redis, &command, repeatable, err);
    }
    if (reply && reply->type == REDIS_REPLY_ERROR) {
        command_refused(redis, reply->str, err);
        error_wrap(err, "script %s", script->name);
        return NULL;
    }
    return steal(reply);
}

struct redis *redis_prepare(const char *url, int timeout_ms, struct error *err) {
    _cleanup_redis_ struct redis *redis = xnew(struct redis);
    redis->timeout_ms = timeout_ms;
    return parse_url(redis, url, err) ? steal(redis) : NULL;
}

struct redis_place redis_place(const struct redis *redis) {
    return (struct redis_place){redis->host, redis->path, redis->port};
}

struct redis *redis_open(const char *url, int timeout_ms, struct error *err) {
    _cleanup_redis_ struct redis *redis = redis_prepare(url, timeout_ms, err);
    if (!redis)
        return NULL;
    redis_begin_call(redis, 0);
    return redis_connect(redis, err) ? steal(redis) : NULL;
}

void redis_close(struct redis *redis) {
    redis_disconnect(redis);
    free(redis->host);
    free(redis->path);
    free(redis->user);
    free(redis->password);
    free(redis->database);
    free(redis->ca);
    if (redis->tls)
        redis_tls_close(redis->tls);
    free(redis);
}
