/* A private redis-server on a unix socket in a temporary directory, for one test program. */
#pragma once

#include "directory_fixture.h"

#include <hiredis/hiredis.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"

struct redis_fixture {
    char *directory, *url;
    char socket[108];
    pid_t pid;
};

static inline bool redis_fixture_answers(const struct redis_fixture *fixture) {
    redisContext *context = redisConnectUnix(fixture->socket);
    redisReply *reply = context && !context->err ? redisCommand(context, "PING") : NULL;
    bool answers = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply)
        freeReplyObject(reply);
    if (context)
        redisFree(context);
    return answers;
}

/* Starts the server in the fixture's directory; what an earlier one saved there is loaded. */
static inline void redis_fixture_start(struct redis_fixture *fixture) {
    struct error err;
    _cleanup_free_ char *log = xasprintf("%s/log", fixture->directory);
    const char *const argv[] = {"redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                fixture->socket,
                                "--dir",
                                fixture->directory,
                                "--appendonly",
                                "yes",
                                "--appendfsync",
                                "always",
                                "--save",
                                "",
                                NULL};
    fixture->pid = child_start(argv, &(struct child_options){.log_path = log}, &err);
    assert_ok(fixture->pid > 0, err);
    for (int i = 0; i < 1000 && !redis_fixture_answers(fixture); i++)
        clock_sleep_ms(clock_system(), 10);
    assert_true(redis_fixture_answers(fixture));
}

static inline int redis_fixture_setup(void **state) {
    struct redis_fixture *fixture = xnew(struct redis_fixture);
    fixture->directory = directory_for_test();
    snprintf(fixture->socket, sizeof fixture->socket, "%s/s", fixture->directory);
    fixture->url = xasprintf("unix://%s", fixture->socket);
    redis_fixture_start(fixture);
    *state = fixture;
    return 0;
}

static inline int redis_fixture_teardown(void **state) {
    struct redis_fixture *fixture = *state;
    child_stop(fixture->pid, 5000);
    tree_remove(fixture->directory);
    free(fixture->directory);
    free(fixture->url);
    free(fixture);
    return 0;
}

/* A plain command to the server; the caller frees the reply. */
static inline redisReply *redis_fixture_command(const struct redis_fixture *fixture, const char *format, ...) {
    redisContext *context = redisConnectUnix(fixture->socket);
    assert_true(context && !context->err);
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    redisFree(context);
    assert_non_null(reply);
    return reply;
}

static inline long long redis_fixture_integer(const struct redis_fixture *fixture, const char *command) {
    redisReply *reply = redis_fixture_command(fixture, command);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long value = reply->integer;
    freeReplyObject(reply);
    return value;
}
