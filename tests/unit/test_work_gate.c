/* The gate: one inside at a time, and nobody waits at it who was told to stop. */
#include "test.h"

#include <pthread.h>

#include "base/thread.h"
#include "work/gate.h"

enum { THREADS = 4, ROUNDS = 500 };

/* `inside` and `entries` are plain: only the gate keeps two threads from writing them at once. */
struct visitors {
    struct gate *gate;
    atomic_bool cancel;
    atomic_int waiting;
    int inside, entries, crowded;
};

static void *visit(void *context) {
    struct visitors *visitors = context;
    for (int i = 0; i < ROUNDS; i++) {
        if (!gate_enter(visitors->gate, &visitors->cancel))
            return context;
        if (++visitors->inside != 1)
            visitors->crowded++;
        visitors->entries++;
        sched_yield();
        visitors->inside--;
        gate_leave(visitors->gate);
    }
    return NULL;
}

static void one_is_inside_at_a_time(void **state) {
    _cleanup_gate_ struct gate *gate = gate_new();
    struct visitors visitors = {.gate = gate};
    struct error err;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_ok(thread_start(&threads[i], "visit", visit, &visitors, &err), err);
    for (int i = 0; i < THREADS; i++) {
        void *refused;
        pthread_join(threads[i], &refused);
        assert_null(refused);
    }
    assert_int_equal(visitors.crowded, 0);
    assert_int_equal(visitors.inside, 0);
    assert_int_equal(visitors.entries, THREADS * ROUNDS);
}

/* Enters once and stays; what it returns says whether it came in. */
static void *enter(void *context) {
    struct visitors *visitors = context;
    atomic_fetch_add(&visitors->waiting, 1);
    if (!gate_enter(visitors->gate, &visitors->cancel))
        return NULL;
    visitors->entries++;
    return context;
}

static pthread_t start_waiter(struct visitors *visitors) {
    struct error err;
    pthread_t thread;
    assert_ok(thread_start(&thread, "enter", enter, visitors, &err), err);
    while (atomic_load(&visitors->waiting) == 0)
        sched_yield();
    return thread;
}

static void cancel_ends_the_wait(void **state) {
    _cleanup_gate_ struct gate *gate = gate_new();
    struct visitors visitors = {.gate = gate};
    atomic_bool never = false;
    void *entered;
    assert_true(gate_enter(gate, &never));
    pthread_t waiter = start_waiter(&visitors);
    atomic_store(&visitors.cancel, true);
    pthread_join(waiter, &entered); /* nobody leaves the gate: only the flag can end this */
    assert_null(entered);
    assert_int_equal(visitors.entries, 0);
    gate_leave(gate);
    assert_true(gate_enter(gate, &never)); /* the one that gave up holds nothing */
}

static void who_waits_enters_after_the_leave(void **state) {
    _cleanup_gate_ struct gate *gate = gate_new();
    struct visitors visitors = {.gate = gate};
    void *entered;
    assert_true(gate_enter(gate, &visitors.cancel));
    pthread_t waiter = start_waiter(&visitors);
    assert_int_equal(visitors.entries++, 0); /* still ours alone */
    gate_leave(gate);
    pthread_join(waiter, &entered);
    assert_ptr_equal(entered, &visitors);
    assert_int_equal(visitors.entries, 2); /* the one who came after saw what we wrote */
    gate_leave(gate);
}

static void cancelled_job_does_not_enter_a_free_gate(void **state) {
    _cleanup_gate_ struct gate *gate = gate_new();
    atomic_bool cancel = true, never = false;
    assert_false(gate_enter(gate, &cancel));
    assert_true(gate_enter(gate, &never));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_inside_at_a_time),
        cmocka_unit_test(cancel_ends_the_wait),
        cmocka_unit_test(who_waits_enters_after_the_leave),
        cmocka_unit_test(cancelled_job_does_not_enter_a_free_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
