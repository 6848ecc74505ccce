#include "test.h"

#include <arpa/inet.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/process.h"
#include "base/thread.h"
#include "store/http.h"

/* Full jitter: anywhere between nothing and the doubled, bounded wait; spread, not all the same. */
static void waits_between_tries(void **state) {
    const struct http_policy policy = {.base_ms = 100, .limit_ms = 3000};
    static const int64_t most[] = {100, 200, 400, 800, 1600, 3000, 3000};
    for (int attempt = 0; attempt < (int)ARRAY_LENGTH(most); attempt++) {
        int64_t least_seen = INT64_MAX, most_seen = -1;
        for (int i = 0; i < 2000; i++) {
            int64_t delay = http_retry_delay_ms(&policy, attempt);
            least_seen = MIN(least_seen, delay);
            most_seen = MAX(most_seen, delay);
        }
        assert_true(least_seen >= 0 && least_seen < most[attempt] / 10);
        assert_true(most_seen < most[attempt] && most_seen > most[attempt] * 9 / 10 - 1);
    }
    assert_in_range(http_retry_delay_ms(&policy, INT_MAX), 0, 3000);
}

static void knows_what_passes(void **state) {
    static const int passing[] = {408, 429, 500, 502, 503, 504};
    static const int lasting[] = {200, 206, 301, 304, 400, 401, 403, 404, 409, 412, 416, 501, 505};
    for (size_t i = 0; i < ARRAY_LENGTH(passing); i++)
        assert_true(http_is_transient(passing[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(lasting); i++)
        assert_false(http_is_transient(lasting[i]));
}

/* A server that lets clients connect and never answers. */
static int silent_server(char url[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(server, 8), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &length), 0);
    snprintf(url, 64, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    return server;
}

struct raise {
    atomic_bool flag;
    int server; /* -1: at once */
};

/* Raises the flag once a client is connected. */
static void *raise_flag(void *context) {
    struct raise *raise = context;
    int client = raise->server >= 0 ? accept(raise->server, NULL, NULL) : -1;
    char byte;
    bool asked = client < 0 || read(client, &byte, 1) == 1;
    atomic_store(&raise->flag, true);
    while (client >= 0 && read(client, &byte, 1) > 0)
        ; /* until the client has gone: it must not see the end of the connection first */
    if (client >= 0)
        close(client);
    return asked ? raise : NULL;
}

/* Without the flag each of these would last for hours. */
static void a_flag_ends_what_waits(void **state) {
    char url[64];
    struct error err;
    _cleanup_close_ int server = silent_server(url);
    struct raise raise = {.server = server};
    struct http_policy policy = http_policy_default;
    policy.stall_seconds = 10000;
    policy.base_ms = policy.limit_ms = INT64_C(1) << 40;
    policy.cancel = &raise.flag;
    _cleanup_http_ struct http *http = http_new(&policy);
    _cleanup_http_response_ struct http_response response = {0};
    pthread_t thread;
    assert_ok(thread_start(&thread, "raise", raise_flag, &raise, &err), err);
    const struct http_request request = {.method = "GET", .url = url, .direct = true};
    assert_code(http_send(http, &request, &response, &err), ERR_CANCELLED, err); /* waiting for an answer */
    assert_true(response.is_final);
    pthread_join(thread, NULL);
    atomic_store(&raise.flag, false);
    raise.server = -1;
    close(server);
    server = -1;
    assert_ok(thread_start(&thread, "raise", raise_flag, &raise, &err), err);
    assert_code(http_send(http, &request, &response, &err), ERR_CANCELLED, err); /* between two tries */
    pthread_join(thread, NULL);
}

int main(void) {
    process_begin();
    http_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_between_tries),
        cmocka_unit_test(knows_what_passes),
        cmocka_unit_test(a_flag_ends_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
