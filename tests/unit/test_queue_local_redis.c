/* The embedded Redis: its data outlives it, a left-over server is taken over, failures name their reason. */
#include "directory_fixture.h"
#include "queue_fixture.h"

#include <sys/stat.h>

#include "base/process.h"
#include "redis/local.h"

static struct queue *open_local(const struct local_redis *redis) {
    struct error err;
    struct queue *queue = queue_open(&(struct queue_options){.url = local_redis_url(redis)}, &err);
    assert_ok(queue, err);
    return queue;
}

static void test_what_was_queued_outlives_the_server(void **state) {
    struct error err;
    struct local_redis *redis = local_redis_start(*state, &err);
    assert_ok(redis, err);
    struct queue *queue = open_local(redis);
    submit(queue, "film", CLASS_BATCH, "hi");
    queue_close(queue);
    local_redis_stop(redis);

    redis = local_redis_start(*state, &err);
    assert_ok(redis, err);
    queue = open_local(redis);
    claim_job(queue, "w1", "film/plan");
    queue_close(queue);
    local_redis_stop(redis);
}

static void test_only_the_owner_can_reach_it(void **state) {
    struct error err;
    _cleanup_local_redis_ struct local_redis *redis = local_redis_start(*state, &err);
    assert_ok(redis, err);
    struct stat info;
    assert_int_equal(stat(local_redis_url(redis) + strlen("unix://"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

/* The farm's process is gone, its redis-server is not: the next start ends that one and goes on with its
 * data. */
static void test_a_left_over_server_is_taken_over(void **state) {
    struct error err;
    struct redis_fixture left = {.directory = *state};
    snprintf(left.socket, sizeof left.socket, "%s/redis.sock", left.directory);
    left.url = xasprintf("unix://%s", left.socket);
    redis_fixture_start(&left);
    struct queue *queue = fixture_open(&left);
    submit(queue, "film", CLASS_BATCH, "hi");
    queue_close(queue);

    _cleanup_local_redis_ struct local_redis *redis = local_redis_start(*state, &err);
    assert_ok(redis, err);
    int status;
    assert_true(child_wait(left.pid, 0, &status));
    _cleanup_queue_ struct queue *again = open_local(redis);
    claim_job(again, "w1", "film/plan");
    free(left.url);
}

static void test_a_running_farm_is_left_alone(void **state) {
    struct error err;
    _cleanup_local_redis_ struct local_redis *redis = local_redis_start(*state, &err);
    assert_ok(redis, err);
    assert_code(local_redis_start(*state, &err), ERR_CHILD_FAILED, err);
    _cleanup_queue_ struct queue *queue = open_local(redis);
    assert_ok(queue_ping(queue, &err), err);
}

static void test_a_long_path_gets_a_short_socket(void **state) {
    struct error err;
    _cleanup_free_ char *directory =
        xasprintf("%s/%0100d/%0100d", (const char *)*state, 1, 2); /* 200 characters and more */
    struct local_redis *redis = local_redis_start(directory, &err);
    assert_ok(redis, err);
    _cleanup_free_ char *parent = xstrdup(local_redis_url(redis) + strlen("unix://"));
    *strrchr(parent, '/') = '\0';
    struct queue *queue = open_local(redis);
    assert_ok(queue_ping(queue, &err), err);
    queue_close(queue);
    local_redis_stop(redis);
    assert_int_equal(access(parent, F_OK), -1);
}

static void test_a_missing_redis_server_is_named(void **state) {
    struct error err;
    _cleanup_free_ char *path = xstrdup(getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    err.code = ERR_NONE;
    struct local_redis *redis = local_redis_start(*state, &err);
    setenv("PATH", path, 1);
    assert_null(redis);
    assert_int_equal(err.code, ERR_CHILD_FAILED);
    assert_non_null(strstr(err.message, "apt install redis-server"));
}

static void test_a_server_that_cannot_start_says_why(void **state) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/appendonlydir", (const char *)*state);
    assert_ok(file_write_atomic(path, "x", 1, 0600, &err), err);
    assert_code(local_redis_start(*state, &err), ERR_CHILD_FAILED, err);
    assert_non_null(strstr(err.message, "appendonlydir"));
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_queued_outlives_the_server, directory_setup, directory_teardown),
        cmocka_unit_test_setup_teardown(test_only_the_owner_can_reach_it, directory_setup, directory_teardown),
        cmocka_unit_test_setup_teardown(test_a_left_over_server_is_taken_over, directory_setup, directory_teardown),
        cmocka_unit_test_setup_teardown(test_a_running_farm_is_left_alone, directory_setup, directory_teardown),
        cmocka_unit_test_setup_teardown(test_a_long_path_gets_a_short_socket, directory_setup, directory_teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_redis_server_is_named, directory_setup, directory_teardown),
        cmocka_unit_test_setup_teardown(test_a_server_that_cannot_start_says_why, directory_setup, directory_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
