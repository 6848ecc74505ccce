/* A pipeline whose threads stop together: the first failure is kept, and nobody waits for ever. */
#include "test.h"

#include <string.h>

#include "base/thread.h"
#include "work/flow.h"

enum { THREADS = 8 };

static struct error failure(const char *message) {
    struct error err;
    error_set(&err, ERR_MEDIA_CORRUPT, "%s", message);
    return err;
}

static void the_first_failure_is_kept(void **state) {
    struct flow flow;
    struct error first = failure("first"), second = failure("second"), err;
    flow_init(&flow, NULL);
    assert_false(flow_stopped(&flow));
    assert_ok(flow_result(&flow, &err), err);
    assert_false(flow_fail(&flow, &first));
    assert_false(flow_fail(&flow, &second));
    assert_true(flow_stopped(&flow));
    assert_code(flow_result(&flow, &err), ERR_MEDIA_CORRUPT, err);
    assert_string_equal(err.message, "first");
    flow_destroy(&flow);
}

static void *fail_with_own_name(void *context) {
    struct flow *flow = context;
    char name[32];
    snprintf(name, sizeof name, "thread %lu", (unsigned long)pthread_self());
    struct error mine = failure(name), *seen = calloc(1, sizeof *seen);
    flow_fail(flow, &mine);
    if (flow_result(flow, seen))
        seen->code = ERR_NONE;
    return seen;
}

/* Whoever comes first: all threads see the same failure, whole. */
static void threads_that_fail_at_once_agree(void **state) {
    struct flow flow;
    struct error err, kept;
    pthread_t threads[THREADS];
    flow_init(&flow, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_ok(thread_start(&threads[i], "fail", fail_with_own_name, &flow, &err), err);
    struct error *seen[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], (void **)&seen[i]);
    assert_code(flow_result(&flow, &kept), ERR_MEDIA_CORRUPT, kept);
    assert_int_equal(strncmp(kept.message, "thread ", 7), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(seen[i]->code, ERR_MEDIA_CORRUPT);
        assert_string_equal(seen[i]->message, kept.message);
        free(seen[i]);
    }
    flow_destroy(&flow);
}

static void raised_cancel_counts_as_failure(void **state) {
    atomic_bool cancel = false;
    struct flow flow;
    struct error err, late = failure("late");
    flow_init(&flow, &cancel);
    struct ring *ring = flow_add_ring(&flow, 1);
    assert_false(flow_stopped(&flow));
    atomic_store(&cancel, true);
    assert_true(flow_stopped(&flow));
    assert_false(ring_push(ring, &flow));
    flow_fail(&flow, &late);
    assert_code(flow_result(&flow, &err), ERR_CANCELLED, err);
    flow_destroy(&flow);
}

static void cancel_after_a_failure_changes_nothing(void **state) {
    atomic_bool cancel = false;
    struct flow flow;
    struct error err, first = failure("first");
    flow_init(&flow, &cancel);
    flow_fail(&flow, &first);
    atomic_store(&cancel, true);
    assert_true(flow_stopped(&flow));
    assert_code(flow_result(&flow, &err), ERR_MEDIA_CORRUPT, err);
    flow_destroy(&flow);
}

struct waiter {
    struct flow flow;
    struct ring *full, *empty;
    atomic_int ready;
};

static void *push_into_full(void *context) {
    struct waiter *waiter = context;
    struct error *seen = calloc(1, sizeof *seen);
    atomic_fetch_add(&waiter->ready, 1);
    if (ring_push(waiter->full, seen) || flow_result(&waiter->flow, seen))
        seen->code = ERR_NONE;
    return seen;
}

static void *pop_from_empty(void *context) {
    struct waiter *waiter = context;
    struct error *seen = calloc(1, sizeof *seen);
    atomic_fetch_add(&waiter->ready, 1);
    if (ring_pop(waiter->empty) || flow_result(&waiter->flow, seen))
        seen->code = ERR_NONE;
    return seen;
}

/* A thread that waits at a ring comes back, and finds the reason kept already. */
static void failure_ends_every_wait(void **state) {
    static int item;
    struct waiter waiter = {0};
    struct error err, reason = failure("reason");
    pthread_t threads[2];
    flow_init(&waiter.flow, NULL);
    waiter.full = flow_add_ring(&waiter.flow, 1);
    waiter.empty = flow_add_ring(&waiter.flow, 1);
    assert_true(ring_push(waiter.full, &item));
    assert_ok(thread_start(&threads[0], "push", push_into_full, &waiter, &err), err);
    assert_ok(thread_start(&threads[1], "pop", pop_from_empty, &waiter, &err), err);
    while (atomic_load(&waiter.ready) < 2)
        sched_yield();
    flow_fail(&waiter.flow, &reason);
    for (int i = 0; i < 2; i++) {
        struct error *seen;
        pthread_join(threads[i], (void **)&seen);
        assert_int_equal(seen->code, ERR_MEDIA_CORRUPT);
        assert_string_equal(seen->message, "reason");
        free(seen);
    }
    assert_ptr_equal(ring_drain(waiter.full), &item);
    assert_null(ring_drain(waiter.full));
    flow_destroy(&waiter.flow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_is_kept),       cmocka_unit_test(threads_that_fail_at_once_agree),
        cmocka_unit_test(raised_cancel_counts_as_failure), cmocka_unit_test(cancel_after_a_failure_changes_nothing),
        cmocka_unit_test(failure_ends_every_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
