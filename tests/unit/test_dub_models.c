/* The networks of a process: refused before anything is loaded when they do not fit, loaded once otherwise. */
#include "directory_fixture.h"

#include "dub/models.h"

static const enum pool lipsync[] = {POOL_LIPSYNC}, cpu_only[] = {POOL_CPU};

static void write_manifest(const char *directory, const char *name, const char *role, int memory_mb) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/%s.json", directory, name);
    _cleanup_free_ char *text = xasprintf("{\"name\":\"%s\",\"role\":\"%s\",\"file\":\"%s.onnx\",\"memory_mb\":%d,"
                                          "\"sha256\":\"%064d\"}",
                                          name, role, name, memory_mb, 0);
    assert_ok(file_write_atomic(path, text, strlen(text), 0644, &err), err);
}

/* A manifest that asks for a petabyte; there are no weights, so that trying to load any would be another error. */
static void too_little_memory_is_said_before_loading(void **state) {
    const char *directory = *state;
    struct error err;
    struct models_options options = {.manifests = directory, .directory = directory, .device = {.kind = DEVICE_CPU}};
    write_manifest(directory, ZOO_DETECTOR, "detect", 1);
    write_manifest(directory, ZOO_MESH, "mesh", 1000000000);
    write_manifest(directory, "lips-basic", "lips", 2);
    assert_code(models_load(&options, lipsync, 1, &err), ERR_MODEL_MEMORY, err);
    assert_non_null(strstr(err.message, "need 1000000003 MB"));
    write_manifest(directory, ZOO_MESH, "mesh", 1);
    assert_code(models_load(&options, lipsync, 1, &err), ERR_MODEL_NOT_FOUND, err);
}

static void cpu_pool_loads_no_network(void **state) {
    const char *directory = *state;
    struct error err;
    struct models_options options = {.manifests = directory, .directory = directory, .device = {.kind = DEVICE_CPU}};
    _cleanup_models_ struct models *models = models_load(&options, cpu_only, 1, &err);
    assert_ok(models, err);
    assert_null(models_detector(models));
    assert_null(models_mesh(models));
    assert_false(models_are_on_card(models));
    assert_code(models_lips(models, "lips-basic", &err), ERR_MODEL_NOT_FOUND, err);
}

static void networks_are_loaded_once(void **state) {
    struct error err;
    struct models_options options = {.manifests = SOURCE_ROOT "/models",
                                     .directory = SOURCE_ROOT "/.deps/models",
                                     .device = {.kind = DEVICE_CPU, .threads = 2},
                                     .batch = 3,
                                     .cache_directory = *state};
    _cleanup_models_ struct models *models = models_load(&options, lipsync, 1, &err);
    assert_ok(models, err);
    assert_non_null(models_detector(models));
    assert_non_null(models_mesh(models));
    struct lips *lips = models_lips(models, "lips-basic", &err);
    assert_ok(lips, err);
    assert_int_equal(lips_batch(lips), 3);
    assert_ptr_equal(models_lips(models, "lips-basic", &err), lips);
    assert_code(models_lips(models, ZOO_MESH, &err), ERR_MODEL_INVALID, err);
    struct enhance *enhance = models_enhance(models, &err);
    assert_ok(enhance, err);
    assert_ptr_equal(models_enhance(models, &err), enhance);
}

int main(void) {
    model_process_begin();
    const struct CMUnitTest tests[] = {SCRATCH_TEST(too_little_memory_is_said_before_loading),
                                       SCRATCH_TEST(cpu_pool_loads_no_network), SCRATCH_TEST(networks_are_loaded_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
