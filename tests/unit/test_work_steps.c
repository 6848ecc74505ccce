/* Times of steps, and what a job's context does for its runner. */
#include "gate_fixture.h"
#include "test.h"

#include "base/memory.h"
#include "base/thread.h"
#include "work/work.h"

enum { THREADS = 4, ROUNDS = 1000 };
static const int64_t MS = 1000000;

static void steps_have_the_names_of_the_docs(void **state) {
    static const char *const names[] = {"fetch",   "decode", "detect", "landmark", "mel",    "lips",
                                        "enhance", "blend",  "text",   "denoise",  "encode", "upload"};
    assert_int_equal(STEP_COUNT, 12);
    for (int i = 0; i < STEP_COUNT; i++)
        assert_string_equal(step_name(i), names[i]);
}

static void times_become_rounded_milliseconds(void **state) {
    struct step_times times = {0};
    atomic_store(&times.ns[STEP_DECODE], 12 * MS + 400000);
    atomic_store(&times.ns[STEP_LIPS], 7 * MS + 500000);
    atomic_store(&times.ns[STEP_MEL], 1);
    _cleanup_json_ json_t *json = step_times_to_json(&times);
    _cleanup_json_ json_t *wanted = json_pack("{s:i,s:i,s:i}", "decode", 12, "lips", 8, "mel", 0);
    assert_true(json_equal(json, wanted));
}

static void *stop_often(void *context) {
    for (int i = 0; i < ROUNDS; i++)
        step_stop(context, STEP_ENCODE, step_start() - MS);
    return NULL;
}

static void threads_add_to_one_sum(void **state) {
    struct step_times times = {0};
    struct error err;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_ok(thread_start(&threads[i], "stop", stop_often, &times, &err), err);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&times.ns[STEP_ENCODE]) >= THREADS * ROUNDS * MS); /* a lost addition would show */
    for (int i = 0; i < STEP_COUNT; i++)
        if (i != STEP_ENCODE)
            assert_int_equal(atomic_load(&times.ns[i]), 0);
}

static void inputs_are_found_by_their_names(void **state) {
    struct error err;
    const struct job_file inputs[] = {{"video", "/cache/1"}, {"part-0000", "/scratch/part-0000"}};
    struct job_context context = {.inputs = inputs, .input_count = 2, .scratch = "/scratch"};
    assert_string_equal(work_input(&context, "part-0000", &err), "/scratch/part-0000");
    assert_error(work_input(&context, "part", &err), ERR_INTERNAL, "\"part\"", err);
    _cleanup_free_ char *path = work_path(&context, "segment.mp4");
    assert_string_equal(path, "/scratch/segment.mp4");
}

static void time_behind_the_gate_is_added_up(void **state) {
    struct error err;
    atomic_bool cancel = false;
    struct counted_gate gate;
    counted_gate_init(&gate);
    struct job_context context = {.gate = &gate.gate, .cancel = &cancel};
    struct step_times times = {0};
    assert_ok(work_enter(&context, &times, &err), err);
    times.entered -= 5 * MS;
    work_leave(&context, &times);
    assert_true(times.behind_gate_ns >= 5 * MS);
    int64_t before = times.behind_gate_ns;
    atomic_store(&cancel, true);
    assert_code(work_enter(&context, &times, &err), ERR_CANCELLED, err);
    assert_int_equal(times.behind_gate_ns, before);
    assert_int_equal(gate.inside, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_have_the_names_of_the_docs), cmocka_unit_test(times_become_rounded_milliseconds),
        cmocka_unit_test(threads_add_to_one_sum),           cmocka_unit_test(inputs_are_found_by_their_names),
        cmocka_unit_test(time_behind_the_gate_is_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
