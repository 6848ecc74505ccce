/* Waking, and many workers at once: nothing sleeps while there is work, everything is done exactly once. */
#include "base/process.h"
#include "queue_fixture.h"

#include <pthread.h>
#include <sys/wait.h>

struct waiter {
    const struct redis_fixture *fixture;
    int lease_ms;
    const enum campaign_class *only;
    struct claim claim;
};

/* What an idle worker does: claim, and wait when there is nothing, until it has a job. */
static void *wait_for_a_job(void *context) {
    struct waiter *waiter = context;
    struct error err;
    _cleanup_queue_ struct queue *queue = fixture_open(waiter->fixture);
    struct claim_options options = all_pools("waiter", waiter->lease_ms);
    options.only = waiter->only;
    size_t count = 0;
    while (count == 0) {
        bool ready;
        assert_ok(queue_claim(queue, &options, &waiter->claim, 1, &count, &err), err);
        if (count == 0)
            assert_ok(queue_wait(queue, &options, 600000, &ready, &err), err);
    }
    return NULL;
}

static int waiting(const struct redis_fixture *fixture) {
    redisReply *reply = redis_fixture_command(fixture, "INFO clients");
    int count = (int)strtol(strstr(reply->str, "blocked_clients:") + strlen("blocked_clients:"), NULL, 10);
    freeReplyObject(reply);
    return count;
}

static pthread_t start_waiter(struct waiter *waiter) {
    pthread_t thread;
    int before = waiting(waiter->fixture);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_job, waiter), 0);
    while (waiting(waiter->fixture) == before)
        clock_sleep_ms(clock_system(), 1);
    return thread;
}

static void test_a_ready_job_wakes_an_idle_worker(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct waiter waiter = {.fixture = *state, .lease_ms = 600000};
    pthread_t thread = start_waiter(&waiter);
    submit(queue, "film", CLASS_BATCH, "hi");
    pthread_join(thread, NULL);
    assert_string_equal(waiter.claim.job_id, "film/plan");
}

/* Who waits for one class does not take the marker of the other. */
static void test_a_ready_job_wakes_a_worker_of_its_class(void **state) {
    static const enum campaign_class urgent = CLASS_URGENT, batch = CLASS_BATCH;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct waiter first = {.fixture = *state, .lease_ms = 600000, .only = &batch};
    struct waiter second = {.fixture = *state, .lease_ms = 600000, .only = &urgent};
    pthread_t first_thread = start_waiter(&first), second_thread = start_waiter(&second);
    submit(queue, "hurry", CLASS_URGENT, "hi");
    pthread_join(second_thread, NULL);
    assert_string_equal(second.claim.job_id, "hurry/plan");
    assert_int_equal(waiting(*state), 1);
    submit(queue, "film", CLASS_BATCH, "hi");
    pthread_join(first_thread, NULL);
    assert_string_equal(first.claim.job_id, "film/plan");
}

/* A worker of both classes woke, took the urgent job, and is busy now. */
static void test_a_claim_wakes_another_for_the_class_that_is_left(void **state) {
    static const enum campaign_class batch = CLASS_BATCH;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    freeReplyObject(redis_fixture_command(*state, "DEL {mela}:marker:cpu:batch"));
    struct waiter waiter = {.fixture = *state, .lease_ms = 600000, .only = &batch};
    pthread_t thread = start_waiter(&waiter);
    submit(queue, "hurry", CLASS_URGENT, "hi");
    struct error err;
    assert_ok(queue_release(queue, "w1", &claim, &err), err);
    claim_job(queue, "w2", "hurry/plan");
    pthread_join(thread, NULL);
    assert_string_equal(waiter.claim.job_id, "film/plan");
}

static void test_a_wait_ends(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct claim_options options = all_pools("w1", 10);
    bool ready = true;
    assert_ok(queue_wait(queue, &options, 30, &ready, &err), err);
    assert_false(ready);
}

/* The delay begins while the other worker waits already. */
static void test_a_delayed_job_wakes_an_idle_worker_when_due(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    set_first_retry(queue, 100);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    struct waiter waiter = {.fixture = *state, .lease_ms = 600000};
    freeReplyObject(redis_fixture_command(*state, "DEL {mela}:marker:cpu:batch"));
    pthread_t thread = start_waiter(&waiter);
    fail_with(queue, "w1", &claim, ERR_STORE_UNAVAILABLE);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.claim.attempt, 2);
}

static void test_an_expired_lease_wakes_an_idle_worker(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim;
    assert_true(claim_for(queue, "w1", 100, &claim));
    struct waiter waiter = {.fixture = *state, .lease_ms = 100};
    pthread_t thread = start_waiter(&waiter);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.claim.attempt, 2);
}

/* A worker took the marker and died before it claimed. */
static void test_a_marker_that_was_lost_is_not_missed(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    freeReplyObject(redis_fixture_command(*state, "DEL {mela}:marker:cpu:batch"));
    struct claim_options options = all_pools("w1", 1000);
    bool ready = false;
    assert_ok(queue_wait(queue, &options, 600000, &ready, &err), err);
    assert_true(ready);
}

enum { CAMPAIGNS = 12, SEGMENTS = 8, WORKERS = 6, JOBS = 1 + SEGMENTS + 2 * SEGMENTS + 2 };

static bool all_finished(struct queue *queue) {
    struct error err;
    _cleanup_json_ json_t *page = queue_campaigns(queue, NULL, 100, &err);
    size_t i, running = 0;
    json_t *campaign;
    json_array_foreach (json_object_get(page, "items"), i, campaign)
        running += strcmp(json_get_string(campaign, "state", ""), "running") == 0;
    return page && running == 0;
}

/* One job of a stress worker: mostly finished, now and then failed, released or left behind. On a busy machine its
 * short lease may have run out before any of that. */
static bool work_on(struct queue *queue, const struct redis_fixture *fixture, const char *worker,
                    const struct claim *claim, unsigned *random) {
    struct error err, failure = {.code = ERR_STORE_UNAVAILABLE, .message = "chance"};
    unsigned chance = rand_r(random) % 20;
    bool done = true;
    if (chance == 0 && job_number(queue, claim->job_id, "errors") < 2)
        done = queue_fail(queue, worker, claim, &failure, &err);
    else if (chance == 1)
        done = queue_release(queue, worker, claim, &err);
    else if (chance != 2 || job_number(queue, claim->job_id, "crashes") >= 1) {
        done = finish_shaped(queue, worker, claim, "hi ta", SEGMENTS, &err);
        if (done)
            freeReplyObject(redis_fixture_command(fixture, "INCR finished:%s", claim->job_id));
    }
    return done || err.code == ERR_QUEUE_STALE;
}

/* A worker process; its exit status says whether every answer was as it should be. */
static int stress_worker(const struct redis_fixture *fixture, int number) {
    struct error err;
    char worker[16];
    snprintf(worker, sizeof worker, "w%d", number);
    unsigned random = (unsigned)number;
    struct queue_options queue_options = {.url = fixture->url};
    _cleanup_queue_ struct queue *queue = queue_open(&queue_options, &err);
    static const enum campaign_class classes[] = {CLASS_URGENT, CLASS_BATCH};
    struct claim_options options = all_pools(worker, 300);
    options.only = number % 2 ? &classes[number / 2 % 2] : NULL;
    while (queue && !all_finished(queue)) {
        struct claim claim;
        size_t count;
        bool ready;
        if (!queue_claim(queue, &options, &claim, 1, &count, &err))
            return 1;
        if (count ? !work_on(queue, fixture, worker, &claim, &random) : !queue_wait(queue, &options, 200, &ready, &err))
            return 2;
    }
    return queue ? 0 : 3;
}

static void test_many_workers_do_everything_exactly_once(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    for (int i = 0; i < CAMPAIGNS; i++) {
        char id[16];
        snprintf(id, sizeof id, "film-%d", i);
        submit(queue, id, i % 4 ? CLASS_BATCH : CLASS_URGENT, "hi ta");
    }
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] == 0)
            _exit(stress_worker(*state, i));
    }
    for (int i = 0; i < WORKERS; i++) {
        int status = -1;
        waitpid(workers[i], &status, 0);
        assert_int_equal(status, 0);
    }
    redisReply *finished = redis_fixture_command(*state, "KEYS finished:*");
    assert_int_equal(finished->elements, CAMPAIGNS * JOBS);
    for (size_t i = 0; i < finished->elements; i++) {
        redisReply *times = redis_fixture_command(*state, "GET %s", finished->element[i]->str);
        assert_string_equal(times->str, "1");
        freeReplyObject(times);
    }
    freeReplyObject(finished);
    _cleanup_json_ json_t *totals = queue_totals(queue, &err);
    assert_int_equal(json_get_integer(totals, "frames", 0), 24 * CAMPAIGNS * JOBS);
    for (int i = 0; i < CAMPAIGNS; i++) {
        char id[16];
        snprintf(id, sizeof id, "film-%d", i);
        assert_string_equal(campaign_state(queue, id), "done");
    }
    assert_idle(queue);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ready_job_wakes_an_idle_worker),
        cmocka_unit_test(test_a_ready_job_wakes_a_worker_of_its_class),
        cmocka_unit_test(test_a_claim_wakes_another_for_the_class_that_is_left),
        cmocka_unit_test(test_a_wait_ends),
        cmocka_unit_test(test_a_delayed_job_wakes_an_idle_worker_when_due),
        cmocka_unit_test(test_an_expired_lease_wakes_an_idle_worker),
        cmocka_unit_test(test_a_marker_that_was_lost_is_not_missed),
        cmocka_unit_test(test_many_workers_do_everything_exactly_once),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
