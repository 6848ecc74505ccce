#include "test.h"

#include "base/memory.h"
#include "base/process.h"
#include "base/thread.h"
#include "server/kept.h"

static int64_t hand_ns; /* moved by the tests, while no thread looks */

static int64_t hand_monotonic_ns(void *context) { return hand_ns; }

static const struct clock by_hand = {.monotonic_ns = hand_monotonic_ns};

static bool ask(struct kept *kept) {
    bool is_old = kept_lock(kept, &by_hand);
    kept_unlock(kept, &by_hand, is_old);
    return is_old;
}

static void it_is_made_anew_after_a_second(void **state) {
    struct kept kept;
    kept_init(&kept);
    hand_ns = 0;
    assert_true(ask(&kept));
    assert_false(ask(&kept));
    hand_ns = 999999999;
    assert_false(ask(&kept));
    hand_ns = 1000000000;
    assert_true(ask(&kept));
    assert_false(ask(&kept));
    kept_clear(&kept);
}

/* Else those who waited for a slow Redis would each ask it again. */
static void its_second_begins_when_it_is_there(void **state) {
    struct kept kept;
    kept_init(&kept);
    hand_ns = 0;
    assert_true(kept_lock(&kept, &by_hand));
    hand_ns = 5000000000;
    kept_unlock(&kept, &by_hand, true);
    assert_false(ask(&kept));
    kept_clear(&kept);
}

struct crowd {
    struct kept kept;
    int made; /* guarded by it */
};

static void *crowd_ask(void *context) {
    struct crowd *crowd = context;
    bool is_old = kept_lock(&crowd->kept, &by_hand);
    crowd->made += is_old;
    kept_unlock(&crowd->kept, &by_hand, is_old);
    return NULL;
}

static void of_many_at_once_one_makes_it(void **state) {
    struct crowd crowd = {.made = 0};
    struct error err;
    pthread_t threads[16];
    kept_init(&crowd.kept);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_true(thread_start(&threads[i], "asks", crowd_ask, &crowd, &err));
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.made, 1);
    kept_clear(&crowd.kept);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_made_anew_after_a_second),
        cmocka_unit_test(its_second_begins_when_it_is_there),
        cmocka_unit_test(of_many_at_once_one_makes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
