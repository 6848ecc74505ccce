/* Several threads that want credentials at once. The test itself is the container endpoint that gives them. */
#include "test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/process.h"
#include "base/thread.h"
#include "store/credentials.h"

struct asker {
    struct credential_source *source;
    struct credentials found;
    bool ok;
    struct error err;
};

static void *ask(void *context) {
    struct asker *asker = context;
    asker->ok = credentials_get(asker->source, &asker->found, &asker->err);
    return NULL;
}

/* The endpoint, which the variables name from now on. */
static int endpoint_listen(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char url[64];
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(server, 8), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &length), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/creds", ntohs(address.sin_port));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, true);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", true);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", true);
    static const char *const others[] = {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        unsetenv(others[i]);
    return server;
}

/* The next request's connection, the request read. */
static int endpoint_accept(int server) {
    char request[4096];
    int client = accept(server, NULL, NULL);
    assert_true(client >= 0 && read(client, request, sizeof request) > 0);
    return client;
}

/* Credentials that are to be renewed at once, but are valid for a minute more. */
static void endpoint_answer(int client, const char *key) {
    char expires[32], body[256], answer[512];
    clock_format_iso(clock_wall_ms(clock_system()) + 60000, expires);
    int length = snprintf(body, sizeof body, "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Expiration\":\"%s\"}",
                          key, expires);
    snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", length,
             body);
    assert_int_equal(write(client, answer, strlen(answer)), (ssize_t)strlen(answer));
    close(client);
}

static void assert_found(struct asker *asker, pthread_t thread, const char *key) {
    pthread_join(thread, NULL);
    assert_ok(asker->ok, asker->err);
    assert_string_equal(asker->found.access_key, key);
    credentials_clear(&asker->found);
}

static void others_use_the_old_ones_while_one_fetches(void **state) {
    pthread_t thread;
    struct error err;
    int server = endpoint_listen();
    _cleanup_http_ struct http *http = http_new(&http_policy_default);
    struct credential_source *source = credential_source_new(http, "us-east-1");
    struct asker asker = {.source = source}, other = {.source = source};
    assert_ok(thread_start(&thread, "ask", ask, &asker, &err), err);
    endpoint_answer(endpoint_accept(server), "FIRST");
    assert_found(&asker, thread, "FIRST");
    assert_ok(thread_start(&thread, "ask", ask, &asker, &err), err);
    int client = endpoint_accept(server); /* it does not answer yet */
    ask(&other);
    assert_ok(other.ok, other.err);
    assert_string_equal(other.found.access_key, "FIRST");
    credentials_clear(&other.found);
    endpoint_answer(client, "SECOND");
    assert_found(&asker, thread, "SECOND");
    credential_source_free(source);
    close(server);
}

/* There are none that they could use meanwhile. */
static void others_wait_for_the_first_ones(void **state) {
    pthread_t threads[3];
    struct error err;
    int server = endpoint_listen();
    _cleanup_http_ struct http *http = http_new(&http_policy_default);
    struct credential_source *source = credential_source_new(http, "us-east-1");
    struct asker askers[3] = {{.source = source}, {.source = source}, {.source = source}};
    assert_ok(thread_start(&threads[0], "ask", ask, &askers[0], &err), err);
    int client = endpoint_accept(server);
    for (int i = 1; i < 3; i++)
        assert_ok(thread_start(&threads[i], "ask", ask, &askers[i], &err), err);
    close(server); /* nobody else's request can come through */
    endpoint_answer(client, "FIRST");
    for (int i = 0; i < 3; i++)
        assert_found(&askers[i], threads[i], "FIRST");
    credential_source_free(source);
}

int main(void) {
    process_begin();
    http_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_use_the_old_ones_while_one_fetches),
        cmocka_unit_test(others_wait_for_the_first_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
