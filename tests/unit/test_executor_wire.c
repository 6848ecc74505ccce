/* The wire between supervisor and executor: messages in pieces, and what is none. */
#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "executor/wire.h"

struct ends {
    struct wire supervisor, executor;
};

static struct ends ends_open(size_t longest) {
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    return (struct ends){.supervisor = {.socket = sockets[0], .longest = longest},
                         .executor = {.socket = sockets[1], .longest = longest}};
}

static void ends_close(struct ends *ends) {
    wire_close(&ends->supervisor);
    wire_close(&ends->executor);
}

static void a_message_arrives_as_it_was_sent(void **state) {
    _cleanup_(ends_close) struct ends ends = ends_open(1000);
    struct error err;
    _cleanup_json_ json_t *first = json_pack("{s:s}", "type", "ready"), *second = json_pack("{s:i}", "frames", 7);
    assert_ok(wire_send(&ends.executor, first, &err) && wire_send(&ends.executor, second, &err), err);
    assert_true(wire_read(&ends.supervisor));
    for (int i = 0; i < 2; i++) {
        _cleanup_json_ json_t *got = NULL;
        assert_ok(wire_next(&ends.supervisor, &got, &err), err);
        assert_true(json_equal(got, i ? second : first));
    }
    json_t *none;
    assert_ok(wire_next(&ends.supervisor, &none, &err), err);
    assert_null(none);
}

/* A socket that does not block takes a part; the rest goes as the other end reads. */
static void a_long_message_goes_in_parts(void **state) {
    enum { LENGTH = 4 << 20 };
    _cleanup_(ends_close) struct ends ends = ends_open(2 * LENGTH);
    struct error err;
    _cleanup_free_ char *text = xcalloc(LENGTH + 1, 1);
    memset(text, 'x', LENGTH);
    _cleanup_json_ json_t *message = json_pack("{s:s}", "plan", text), *got = NULL;
    assert_ok(wire_send(&ends.supervisor, message, &err), err);
    assert_true(ends.supervisor.out.length > 0);
    while (!got) {
        assert_ok(wire_flush(&ends.supervisor, &err), err);
        assert_true(wire_read(&ends.executor));
        assert_ok(wire_next(&ends.executor, &got, &err), err);
    }
    assert_int_equal(ends.supervisor.out.length, 0);
    assert_true(json_equal(got, message));
}

static void the_other_ends_death_is_seen(void **state) {
    _cleanup_(ends_close) struct ends ends = ends_open(1000);
    struct error err;
    wire_close(&ends.executor);
    _cleanup_json_ json_t *message = json_pack("{s:s}", "type", "stop");
    assert_false(wire_read(&ends.supervisor));
    assert_error(wire_send(&ends.supervisor, message, &err), ERR_IO, "gone", err);
    assert_true(ends.supervisor.ended);
}

static void assert_refused(const char *bytes, size_t length, const char *why) {
    _cleanup_(ends_close) struct ends ends = ends_open(100);
    struct error err;
    json_t *message;
    assert_int_equal(send(ends.executor.socket, bytes, length, 0), length);
    assert_true(wire_read(&ends.supervisor));
    assert_error(wire_next(&ends.supervisor, &message, &err), ERR_INTERNAL, why, err);
    assert_null(message);
}

static void what_is_no_message_is_refused(void **state) {
    assert_refused("\0\0\0\x65", 4, "longer than 100");
    assert_refused("\xff\xff\xff\xff", 4, "longer than 100");
    assert_refused("\0\0\0\0", 4, "no JSON object");
    assert_refused("\0\0\0\2[]", 6, "no JSON object");
    assert_refused("\0\0\0\2{x", 6, "no JSON object");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_as_it_was_sent),
        cmocka_unit_test(a_long_message_goes_in_parts),
        cmocka_unit_test(the_other_ends_death_is_seen),
        cmocka_unit_test(what_is_no_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
