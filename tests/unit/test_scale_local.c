/* Which card a local worker gets, and which jobs ask for one. tests/cli/test_cli_scale.py has the rest of the local
 * autoscaler. */
#include "queue_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/process.h"
#include "scale/local.h"

enum { CARDS = 3, WORKERS = 4 };

struct watch {
    char *path;
    struct buffer seen;
};

static int lines_of(const struct watch *watch) {
    int lines = 0;
    for (size_t i = 0; i < watch->seen.length; i++)
        lines += watch->seen.data[i] == '\n';
    return lines;
}

/* Ends the autoscaler once every worker has written its line. */
static void *stop_when_all_are_there(void *context) {
    struct watch *watch = context;
    struct error err;
    for (int i = 0; i < 3000 && lines_of(watch) < WORKERS; i++) {
        clock_sleep_ms(clock_system(), 10);
        watch->seen.length = 0;
        (void)!file_read(watch->path, 4096, &watch->seen, &err); /* there is none at first */
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

/* Starts workers as the rule asks for until there are WORKERS; says how many each card got. */
static void scale_on_cards(const struct redis_fixture *fixture, int workers_on[CARDS]) {
    _cleanup_free_ char *script =
        xasprintf("echo $CUDA_VISIBLE_DEVICES >> %s/cards; exec sleep 60", fixture->directory);
    struct watch watch = {.path = xasprintf("%s/cards", fixture->directory)};
    const char *const worker[] = {"sh", "-c", script, NULL};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    _cleanup_close_ int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct local_scale_options options = {.queue = {.url = fixture->url},
                                          .worker = worker,
                                          .cap = WORKERS,
                                          .gpus = CARDS,
                                          .cooldown_ms = 1000,
                                          .grace_ms = 5000,
                                          .rule = &scale_rule_default,
                                          .log_directory = fixture->directory,
                                          .signals = signals};
    pthread_t thread;
    struct error err;
    assert_int_equal(pthread_create(&thread, NULL, stop_when_all_are_there, &watch), 0);
    assert_ok(local_scale_run(&options, &err), err);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < watch.seen.length; i++)
        if (watch.seen.data[i] != '\n')
            workers_on[watch.seen.data[i] - '0']++;
    unlink(watch.path);
    buffer_free(&watch.seen);
    free(watch.path);
}

static void workers_are_spread_over_the_cards(void **state) {
    const struct redis_fixture *fixture = *state;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(fixture);
    submit_to_dubs(queue, "film", CLASS_BATCH, "hi", 12);
    int workers_on[CARDS] = {0};
    scale_on_cards(fixture, workers_on);
    assert_int_equal(workers_on[0], 2);
    assert_int_equal(workers_on[1], 1);
    assert_int_equal(workers_on[2], 1);
}

/* Every local worker serves every pool, so every pool's jobs count: here those of pictures, and no other. */
static void pictures_bring_workers_too(void **state) {
    const struct redis_fixture *fixture = *state;
    _cleanup_queue_ struct queue *queue = fixture_open_empty(fixture);
    struct job_spec pictures[12] = {0};
    for (int i = 0; i < (int)ARRAY_LENGTH(pictures); i++)
        snprintf(pictures[i].id, sizeof pictures[i].id, "art/image/%04d", i);
    submit(queue, "art", CLASS_BATCH, "hi");
    struct claim plan = claim_one(queue, "setup");
    struct job_result result = {.artifact = "plan.json", .children = pictures, .child_count = ARRAY_LENGTH(pictures)};
    struct error err;
    assert_ok(queue_finish(queue, "setup", &plan, &result, &err), err);
    int workers_on[CARDS] = {0};
    scale_on_cards(fixture, workers_on);
    assert_int_equal(workers_on[0] + workers_on[1] + workers_on[2], WORKERS);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(workers_are_spread_over_the_cards),
                                       cmocka_unit_test(pictures_bring_workers_too)};
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
