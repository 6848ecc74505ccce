/* Trouble with Redis: lost scripts, restarts, stalls, replicas, wrong settings. */
#include "queue_fixture.h"

#include <signal.h>

static void test_lost_scripts_are_loaded_again(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    freeReplyObject(redis_fixture_command(*state, "SCRIPT FLUSH"));
    struct claim claim = claim_one(queue, "w1");
    freeReplyObject(redis_fixture_command(*state, "SCRIPT FLUSH"));
    finish(queue, "w1", &claim, "hi", 1);
    assert_job_state(queue, "film/plan", "done");
}

static void test_a_restart_is_survived(void **state) {
    struct redis_fixture *fixture = *state;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1"), none;
    size_t count;
    kill(fixture->pid, SIGKILL);
    child_wait(fixture->pid, -1, &(int){0});
    struct claim_options options = both_pools("w1", 60000);
    assert_code(queue_claim(queue, &options, &none, 1, &count, &err), ERR_QUEUE_UNAVAILABLE, err);
    assert_code(finish_shaped(queue, "w1", &claim, "hi", 1, &err), ERR_QUEUE_UNAVAILABLE, err);
    redis_fixture_start(fixture);
    finish(queue, "w1", &claim, "hi", 1);
    claim_job(queue, "w1", "film/track/0000");
}

/* The connection is cut while it is idle: the next command goes over a new one, a claim too. */
static void test_a_cut_connection_is_made_anew(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    submit(queue, "film", CLASS_BATCH, "hi");
    freeReplyObject(redis_fixture_command(*state, "CLIENT KILL TYPE normal"));
    claim_job(queue, "w1", "film/plan");
}

static void test_a_stalled_server_is_given_up_in_time(void **state) {
    struct redis_fixture *fixture = *state;
    struct error err;
    freeReplyObject(redis_fixture_command(*state, "FLUSHALL"));
    struct queue_options options = {.url = fixture->url, .timeout_ms = 700};
    _cleanup_queue_ struct queue *queue = queue_open(&options, &err);
    assert_ok(queue, err);
    submit(queue, "film", CLASS_BATCH, "hi");
    kill(fixture->pid, SIGSTOP);
    bool refused = !queue_ping(queue, &err);
    kill(fixture->pid, SIGCONT);
    assert_true(refused);
    assert_int_equal(err.code, ERR_QUEUE_UNAVAILABLE);
    /* The late PONG answers nothing: it belonged to a connection that is gone. */
    claim_job(queue, "w1", "film/plan");
}

static void test_a_replica_is_no_queue(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct claim claim;
    size_t count;
    struct claim_options options = both_pools("w1", 60000);
    submit(queue, "film", CLASS_BATCH, "hi");
    freeReplyObject(redis_fixture_command(*state, "REPLICAOF 127.0.0.1 1"));
    assert_code(queue_claim(queue, &options, &claim, 1, &count, &err), ERR_QUEUE_UNAVAILABLE, err);
    freeReplyObject(redis_fixture_command(*state, "REPLICAOF NO ONE"));
    claim_job(queue, "w1", "film/plan");
}

static void test_full_memory_loses_nothing(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    struct claim claim = claim_one(queue, "w1");
    freeReplyObject(redis_fixture_command(*state, "CONFIG SET maxmemory 1"));
    assert_code(finish_shaped(queue, "w1", &claim, "hi", 1, &err), ERR_QUEUE_UNAVAILABLE, err);
    freeReplyObject(redis_fixture_command(*state, "CONFIG SET maxmemory 0"));
    finish(queue, "w1", &claim, "hi", 1);
}

static bool opens(const char *url, struct error *err) {
    _cleanup_queue_ struct queue *queue =
        queue_open(&(struct queue_options){.url = url, .timeout_ms = 1000}, err);
    return queue != NULL;
}

static void test_a_server_that_evicts_is_refused(void **state) {
    const struct redis_fixture *fixture = *state;
    struct error err;
    freeReplyObject(redis_fixture_command(fixture, "CONFIG SET maxmemory-policy allkeys-lru"));
    assert_code(opens(fixture->url, &err), ERR_QUEUE_CONFIG, err);
    freeReplyObject(redis_fixture_command(fixture, "CONFIG SET maxmemory-policy noeviction"));
    assert_ok(opens(fixture->url, &err), err);
}

static void test_urls(void **state) {
    struct error err;
    static const char *const bad[] = {"localhost:6379",  "http://a",        "redis://",     "redis://:6379",
                                      "redis://a:0",     "redis://a:99999", "redis://[::1", "redis://a:1x",
                                      "unix://relative", "rediss://a:6379"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_code(opens(bad[i], &err), ERR_QUEUE_CONFIG, err);
    assert_non_null(strstr(err.message, "TLS"));
    assert_code(opens("redis://127.0.0.1:1", &err), ERR_QUEUE_UNAVAILABLE, err);
    assert_code(opens("redis://[::1]:1/2", &err), ERR_QUEUE_UNAVAILABLE, err);
    assert_code(opens("unix:///nowhere/redis.sock", &err), ERR_QUEUE_UNAVAILABLE, err);
}

/* A TCP server with a user, a password with odd characters, and a second database. */
static void test_credentials_and_database(void **state) {
    const struct redis_fixture *fixture = *state;
    struct error err;
    _cleanup_free_ char *url = NULL;
    for (int port = 20000 + getpid() % 20000; !url; port++) {
        redisReply *reply = redis_fixture_command(fixture, "CONFIG SET port %d", port);
        if (reply->type == REDIS_REPLY_STATUS)
            url = xasprintf("127.0.0.1:%d", port);
        freeReplyObject(reply);
    }
    freeReplyObject(redis_fixture_command(fixture, "ACL SETUSER ann on >p@ss%%:/word ~* +@all"));
    _cleanup_free_ char *right = xasprintf("redis://ann:p%%40ss%%25%%3A%%2Fword@%s/3", url),
                        *wrong = xasprintf("redis://ann:password@%s", url),
                        *far = xasprintf("redis://%s/4711", url);
    assert_code(opens(wrong, &err), ERR_QUEUE_CONFIG, err);
    assert_code(opens(far, &err), ERR_QUEUE_CONFIG, err);
    struct queue *queue = queue_open(&(struct queue_options){.url = right, .farm = "other"}, &err);
    assert_ok(queue, err);
    submit(queue, "film", CLASS_BATCH, "hi");
    queue_close(queue);
    redisReply *keyspace = redis_fixture_command(fixture, "INFO keyspace");
    assert_non_null(strstr(keyspace->str, "db3:"));
    freeReplyObject(keyspace);
    freeReplyObject(redis_fixture_command(fixture, "CONFIG SET port 0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_scripts_are_loaded_again),
        cmocka_unit_test(test_a_restart_is_survived),
        cmocka_unit_test(test_a_cut_connection_is_made_anew),
        cmocka_unit_test(test_a_stalled_server_is_given_up_in_time),
        cmocka_unit_test(test_a_replica_is_no_queue),
        cmocka_unit_test(test_full_memory_loses_nothing),
        cmocka_unit_test(test_a_server_that_evicts_is_refused),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_credentials_and_database),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
