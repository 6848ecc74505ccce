#include "directory_fixture.h"

#include <string.h>

#include "farm/config.h"

static char *directory;

static int make_directory(void **state) {
    directory = directory_for_test();
    return 0;
}

static int remove_directory(void **state) {
    tree_remove(directory);
    free(directory);
    return 0;
}

static char *write_file(const char *text) {
    struct error err;
    char *path = xasprintf("%s/farm.json", directory);
    assert_true(file_write_atomic(path, text, strlen(text), 0644, &err));
    return path;
}

static const char *source_of(const json_t *list, const char *name) {
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item)
        if (strcmp(json_get_string(item, "name", ""), name) == 0)
            return json_get_string(item, "source", NULL);
    return NULL;
}

static void test_flags_beat_environment_beats_file_beats_default(void **state) {
    struct error err;
    _cleanup_free_ char *path = write_file("{\"redis\":\"redis://file\",\"farm\":\"file\",\"workers\":3}");
    setenv("MELA_FARM", "environment", 1);
    setenv("MELA_KEY", "very secret", 1);
    _cleanup_config_ struct config *config = config_load(path, &err);
    assert_non_null(config);
    assert_true(config_set_flag(config, "device", "cpu", &err));
    assert_string_equal(config_get(config, "redis"), "redis://file");
    assert_string_equal(config_get(config, "farm"), "environment");
    assert_string_equal(config_get(config, "device"), "cpu");
    assert_string_equal(config_get(config, "listen"), "127.0.0.1:7420");
    int64_t workers;
    assert_true(config_get_integer(config, "workers", 0, 20, &workers, &err));
    assert_int_equal(workers, 3);
    assert_false(config_get_integer(config, "workers", 0, 2, &workers, &err));
    assert_non_null(strstr(err.message, path));
    _cleanup_json_ json_t *list = config_describe(config);
    assert_string_equal(source_of(list, "redis"), path);
    assert_string_equal(source_of(list, "farm"), "MELA_FARM");
    assert_string_equal(source_of(list, "device"), "--device");
    assert_string_equal(source_of(list, "listen"), "default");
    _cleanup_free_ char *line = json_line(list);
    assert_null(strstr(line, "very secret"));
}

static const char *value_of(const json_t *list, const char *name) {
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item)
        if (strcmp(json_get_string(item, "name", ""), name) == 0)
            return json_get_string(item, "value", NULL);
    return NULL;
}

static void test_passwords_in_urls_are_not_described(void **state) {
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"redis://asha:hidden@redis:6379/1", "redis://asha:(set)@redis:6379/1"},
        {"rediss://:hid:d@n@redis?ca=/etc/ca.pem", "rediss://:(set)@redis?ca=/etc/ca.pem"},
        {"redis://:a/b@redis", "redis://:(set)@redis"},
        {"redis://redis:6379", "redis://redis:6379"},
        {"redis://asha@redis:6379", "redis://asha@redis:6379"},
        {"unix:///run/a:b@c", "unix:///run/a:b@c"},
    };
    struct error err;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_free_ char *path = write_file("{}");
        _cleanup_config_ struct config *config = config_load(path, &err);
        assert_non_null(config);
        assert_true(config_set_flag(config, "redis", cases[i].url, &err));
        _cleanup_json_ json_t *list = config_describe(config);
        assert_string_equal(value_of(list, "redis"), cases[i].shown);
        assert_string_equal(config_get(config, "redis"), cases[i].url);
    }
}

static void test_bad_files_are_refused(void **state) {
    struct error err;
    _cleanup_free_ char *path = write_file("{\"colour\":1}");
    assert_null(config_load(path, &err));
    assert_int_equal(err.code, ERR_CONFIG_INVALID);
    free(write_file("{"));
    assert_null(config_load(path, &err));
    assert_int_equal(err.code, ERR_JSON_INVALID);
    assert_null(config_load("/nowhere/farm.json", &err));
    assert_int_equal(err.code, ERR_IO);
}

static void test_failure_limits_are_read(void **state) {
    struct error err;
    _cleanup_free_ char *path =
        write_file("{\"failure\":{\"dub\":{\"errors\":9,\"first_retry_s\":0.5,\"longest_run_s\":60}}}");
    _cleanup_config_ struct config *config = config_load(path, &err);
    assert_non_null(config);
    const int *dub = config_failure(config)->limits[KIND_DUB], *join = config_failure(config)->limits[KIND_JOIN];
    assert_int_equal(dub[FAILURE_ERRORS], 9);
    assert_int_equal(dub[FAILURE_FIRST_RETRY], 500);
    assert_int_equal(dub[FAILURE_LONGEST_RETRY], failure_defaults.limits[KIND_DUB][FAILURE_LONGEST_RETRY]);
    assert_int_equal(dub[FAILURE_LONGEST_RUN], 60000);
    assert_memory_equal(join, failure_defaults.limits[KIND_JOIN], sizeof failure_defaults.limits[KIND_JOIN]);
    _cleanup_json_ json_t *list = config_describe(config);
    assert_string_equal(source_of(list, "failure.dub"), path);
    assert_string_equal(source_of(list, "failure.join"), "default");
}

static void test_wrong_failure_limits_are_named(void **state) {
    struct error err;
    _cleanup_free_ char *path =
        write_file("{\"failure\":{\"dub\":{\"errors\":1.5,\"first_retry_s\":301,\"retries\":1},"
                   "\"join\":{\"longest_run_s\":0,\"crashed_workers\":11},\"plan\":3,\"films\":{}}}");
    assert_null(config_load(path, &err));
    assert_int_equal(err.code, ERR_CONFIG_INVALID);
    static const char *const named[] = {"$.failure.dub.errors is not a whole number",
                                        "$.failure.dub.first_retry_s is more than longest_retry_s",
                                        "$.failure.dub.retries is not known",
                                        "$.failure.join.longest_run_s is not a number from 1 to 864000",
                                        "$.failure.join.crashed_workers is more than crashes",
                                        "$.failure.plan is not an object",
                                        "$.failure.films is not known"};
    for (size_t i = 0; i < ARRAY_LENGTH(named); i++)
        assert_non_null(strstr(err.message, named[i]));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_beat_environment_beats_file_beats_default),
        cmocka_unit_test(test_passwords_in_urls_are_not_described),
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_failure_limits_are_read),
        cmocka_unit_test(test_wrong_failure_limits_are_named),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
