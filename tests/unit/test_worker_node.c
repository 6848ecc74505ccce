/* What a worker makes of its machine: spot notices, the Kubernetes API's answers, the card. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "worker/check.h"
#include "worker/kubernetes.h"
#include "worker/spot.h"

/* ---- spot notices ---- */

static bool notice_of(const char *text, char action[32]) { return spot_read_notice(text, strlen(text), action); }

static void spot_notices_are_read(void **state) {
    static const char *const none[] = {"<html>404</html>",       "",   "{\"time\":\"2026-11-23T13:00:00Z\"}",
                                       "{\"action\":\"\"}",      "[]", "{\"action\":7}",
                                       "{\"action\":\"terminate"};
    char action[32];
    assert_true(notice_of("{\"action\":\"terminate\",\"time\":\"2026-11-23T13:00:00Z\"}", action));
    assert_string_equal(action, "terminate");
    assert_true(notice_of("{\"action\":\"a-word-that-is-longer-than-thirty-two-bytes\"}", action));
    assert_int_equal(strlen(action), 31);
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        if (notice_of(none[i], action))
            fail_msg("%s is no notice", none[i]);
}

static void a_machine_whose_metadata_is_disabled_is_no_spot_instance(void **state) {
    char action[32];
    setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    _cleanup_spot_ struct spot *spot = spot_new();
    assert_true(spot_is_absent(spot));
    assert_false(spot_noticed(spot, action));
}

/* ---- Kubernetes ---- */

static void outside_of_a_cluster_there_is_no_kubernetes(void **state) {
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_null(kubernetes_open());
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    setenv("MELA_KUBERNETES_MOUNT", "/nowhere", 1); /* no token either */
    assert_null(kubernetes_open());
}

static json_t *answer_of(long status, const char *text, struct error *err) {
    _cleanup_buffer_ struct buffer body = {0};
    if (text)
        buffer_append_text(&body, text);
    return kubernetes_read_answer("GET /api/v1/nodes", status, &body, err);
}

static void answers_of_the_api_are_read(void **state) {
    struct error err;
    _cleanup_json_ json_t *nodes = answer_of(200, "{\"items\":[{\"metadata\":{\"name\":\"own\"}}]}", &err);
    assert_ok(nodes, err);
    assert_code(answer_of(403, "{\"message\":\"nodes is forbidden\"}", &err), ERR_IO, err);
    assert_string_equal(err.message, "the Kubernetes API answered GET /api/v1/nodes with 403: nodes is forbidden");
    assert_code(answer_of(500, "{}", &err), ERR_IO, err);
    assert_non_null(strstr(err.message, "no reason"));
    assert_code(answer_of(200, "<html>", &err), ERR_IO, err);
    assert_non_null(strstr(err.message, "no JSON"));
    assert_code(answer_of(200, NULL, &err), ERR_IO, err);
}

static void other_nodes_are_counted(void **state) {
    struct error err;
    static const char text[] = "{\"items\":[{\"metadata\":{\"name\":\"own\"}},{\"metadata\":{\"name\":\"a\"}},"
                               "{\"metadata\":{\"name\":\"b\"}}]}";
    _cleanup_json_ json_t *nodes = json_parse(text, strlen(text), &err), *empty = json_object();
    assert_int_equal(kubernetes_count_others(nodes, "own"), 2);
    assert_int_equal(kubernetes_count_others(nodes, "new"), 3);
    assert_int_equal(kubernetes_count_others(empty, "own"), 0);
}

/* ---- the card ---- */

static void a_card_of_no_driver_is_an_error(void **state) {
    struct error err;
    _cleanup_nvml_ struct nvml *nvml = nvml_open(4096, &err); /* nor has any machine as many cards */
    assert_null(nvml);
    assert_int_equal(err.code, ERR_MODEL_DEVICE);
}

static void devices_are_read(void **state) {
    static const char *const wrong[] = {"cuda", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:1024", "gpu", ""};
    struct device device;
    struct error err;
    assert_ok(check_device("cpu", &device, &err), err);
    assert_int_equal(device.kind, DEVICE_CPU);
    assert_ok(check_device("cuda:7", &device, &err), err);
    assert_true(device.kind == DEVICE_CUDA && device.index == 7);
    setenv("NVIDIA_VISIBLE_DEVICES", "GPU-1234", 1); /* a card is promised */
    assert_ok(check_device("auto", &device, &err), err);
    assert_true(device.kind == DEVICE_CUDA && device.index == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_code(check_device(wrong[i], &device, &err), ERR_USAGE, err);
}

/* ---- verdicts ---- */

static void memory_is_judged(void **state) {
    _cleanup_free_ char *enough = NULL, *unknown = NULL, *little = NULL;
    assert_true(check_judge_memory(100 << 20, 100, &enough));
    assert_true(check_judge_memory(NVML_UNKNOWN, 100, &unknown));
    assert_false(check_judge_memory((100 << 20) - 1, 100, &little));
    assert_string_equal(little, "only 99 MB are free, 100 are needed");
}

static bool record_passes(struct nvml_state card, const char *part) {
    _cleanup_free_ char *message = NULL;
    bool ok = check_judge_record(&card, &message);
    if (!strstr(message, part))
        fail_msg("\"%s\" lacks \"%s\"", message, part);
    return ok;
}

static void a_cards_record_is_judged(void **state) {
    assert_true(record_passes((struct nvml_state){0}, "no uncorrected error"));
    assert_true(record_passes((struct nvml_state){.ecc_corrected = 9, .retire_pending = 1}, "no uncorrected error"));
    assert_true(record_passes((struct nvml_state){.ecc_uncorrected = NVML_UNKNOWN, .remap_failed = NVML_UNKNOWN},
                              "does not count"));
    assert_false(record_passes((struct nvml_state){.ecc_uncorrected = 3}, "3 uncorrected"));
    assert_false(record_passes((struct nvml_state){.ecc_uncorrected = 3, .remap_failed = 1}, "replace it"));
}

static bool result_passes(float a, float b) {
    const float right[] = {0, -10, 5}, result[] = {a, -10, b};
    _cleanup_free_ char *message = NULL;
    return check_judge_result(result, right, ARRAY_LENGTH(right), &message);
}

static void a_result_is_judged(void **state) {
    assert_true(result_passes(0, 5));
    assert_true(result_passes(0.19F, 5));
    assert_false(result_passes(0.21F, 5));
    assert_false(result_passes(0, NAN));
    const float zeros[] = {0, 0};
    _cleanup_free_ char *message = NULL;
    assert_false(check_judge_result(zeros, zeros, 2, &message)); /* a network that computes nothing */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spot_notices_are_read),
        cmocka_unit_test(a_machine_whose_metadata_is_disabled_is_no_spot_instance),
        cmocka_unit_test(outside_of_a_cluster_there_is_no_kubernetes),
        cmocka_unit_test(answers_of_the_api_are_read),
        cmocka_unit_test(other_nodes_are_counted),
        cmocka_unit_test(a_card_of_no_driver_is_an_error),
        cmocka_unit_test(devices_are_read),
        cmocka_unit_test(memory_is_judged),
        cmocka_unit_test(a_cards_record_is_judged),
        cmocka_unit_test(a_result_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
