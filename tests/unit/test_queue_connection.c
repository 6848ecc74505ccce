/* Trouble with Redis: lost scripts, restarts, stalls, replicas, wrong settings. */
#include "base/process.h"
#include "queue_fixture.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

static bool opens(const char *url, struct error *err) {
    _cleanup_queue_ struct queue *queue = queue_open(&(struct queue_options){.url = url, .timeout_ms = 1000}, err);
    return queue != NULL;
}

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
    struct claim_options options = all_pools("w1", 60000);
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

/* A server that answers, but a byte at a time and without end: each read succeeds, the call must not. */
static void *trickle(void *listener) {
    int server = accept(*(int *)listener, NULL, NULL);
    const char *text = "$1000000\r\n";
    for (int i = 0; i < 400 && send(server, text[0] ? text++ : "x", 1, MSG_NOSIGNAL) == 1; i++)
        clock_sleep_ms(clock_system(), 50);
    close(server);
    return NULL;
}

static void test_a_server_that_trickles_is_given_up_in_time(void **state) {
    struct error err;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    _cleanup_free_ char *url = xasprintf("redis://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_t thread;
    pthread_create(&thread, NULL, trickle, &listener);
    assert_code(opens(url, &err), ERR_QUEUE_UNAVAILABLE, err);
    assert_non_null(strstr(err.message, "within the time limit"));
    pthread_join(thread, NULL);
    close(listener);
}

static void *run_long_script(void *fixture) {
    freeReplyObject(redis_fixture_command(fixture, "EVAL %s 0",
                                          "for i = 1, 2e8 do end "
                                          "return redis.call('SET', 'unhurt', '1')"));
    return NULL;
}

/* Whoever finds Redis busy waits; nobody kills the script. */
static void test_a_busy_server_is_waited_for(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    submit(queue, "film", CLASS_BATCH, "hi");
    freeReplyObject(redis_fixture_command(*state, "CONFIG SET lua-time-limit 20"));
    pthread_t thread;
    pthread_create(&thread, NULL, run_long_script, *state);
    while (queue_ping(queue, &err))
        clock_sleep_ms(clock_system(), 1);
    assert_int_equal(err.code, ERR_QUEUE_UNAVAILABLE);
    assert_non_null(strstr(err.message, "BUSY"));
    pthread_join(thread, NULL);
    claim_job(queue, "w1", "film/plan");
    assert_int_equal(redis_fixture_integer(*state, "EXISTS unhurt"), 1);
    freeReplyObject(redis_fixture_command(*state, "CONFIG SET lua-time-limit 5000"));
}

static void *demote(void *fixture) {
    while (redis_fixture_integer(fixture, "EXISTS {mela}:marker:cpu") == 1)
        clock_sleep_ms(clock_system(), 1);
    clock_sleep_ms(clock_system(), 100);
    freeReplyObject(redis_fixture_command(fixture, "REPLICAOF 127.0.0.1 1"));
    return NULL;
}

/* A primary that becomes a replica sends those away that block there: nothing is wrong with them. */
static void test_a_wait_ends_when_the_server_becomes_a_replica(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    bool ready;
    struct claim_options options = all_pools("w1", 60000);
    pthread_t thread;
    pthread_create(&thread, NULL, demote, *state);
    assert_code(queue_wait(queue, &options, 20000, &ready, &err), ERR_QUEUE_UNAVAILABLE, err);
    pthread_join(thread, NULL);
    freeReplyObject(redis_fixture_command(*state, "REPLICAOF NO ONE"));
    submit(queue, "film", CLASS_BATCH, "hi");
    claim_job(queue, "w1", "film/plan");
}

static void test_a_replica_is_no_queue(void **state) {
    _cleanup_queue_ struct queue *queue = fixture_open_empty(*state);
    struct error err;
    struct claim claim;
    size_t count;
    struct claim_options options = all_pools("w1", 60000);
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
                                      "unix://relative", "rediss://a:1x"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_code(opens(bad[i], &err), ERR_QUEUE_CONFIG, err);
    if (!opens("rediss://127.0.0.1:1", &err) && err.code != ERR_QUEUE_UNAVAILABLE) /* this hiredis has no TLS */
        assert_true(err.code == ERR_QUEUE_CONFIG && strstr(err.message, "TLS"));
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
                        *wrong = xasprintf("redis://ann:password@%s", url), *far = xasprintf("redis://%s/4711", url);
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
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_scripts_are_loaded_again),
        cmocka_unit_test(test_a_restart_is_survived),
        cmocka_unit_test(test_a_cut_connection_is_made_anew),
        cmocka_unit_test(test_a_stalled_server_is_given_up_in_time),
        cmocka_unit_test(test_a_server_that_trickles_is_given_up_in_time),
        cmocka_unit_test(test_a_busy_server_is_waited_for),
        cmocka_unit_test(test_a_wait_ends_when_the_server_becomes_a_replica),
        cmocka_unit_test(test_a_replica_is_no_queue),
        cmocka_unit_test(test_full_memory_loses_nothing),
        cmocka_unit_test(test_a_server_that_evicts_is_refused),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_credentials_and_database),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
