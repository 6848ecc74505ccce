#include "directory_fixture.h"

#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/process.h"
#include "base/thread.h"
#include "server/auth.h"
#include "store/http.h"

struct place {
    char *directory, *path;
};

static int place_make(void **state) {
    struct place *place = xnew(struct place);
    place->directory = directory_for_test();
    place->path = xasprintf("%s/keys.json", place->directory);
    *state = place;
    return 0;
}

static int place_remove(void **state) {
    struct place *place = *state;
    tree_remove(place->directory);
    free(place->directory);
    free(place->path);
    free(place);
    return 0;
}

static void write_keys(const struct place *place, const char *text) {
    struct error err;
    assert_true(file_write_atomic(place->path, text, strlen(text), 0600, &err));
}

static void created_keys_are_found_with_name_and_role(void **state) {
    struct place *place = *state;
    struct error err;
    _cleanup_free_ char *viewer = keys_create(place->path, "wall", ROLE_VIEWER, &err);
    _cleanup_free_ char *admin = keys_create(place->path, "ops", ROLE_ADMIN, &err);
    assert_non_null(viewer);
    assert_non_null(admin);
    assert_int_equal(strlen(admin), strlen("mela_") + 43);
    assert_int_equal(strncmp(admin, "mela_", 5), 0);
    _cleanup_(keys_free_cleanup) struct keys *keys = keys_load(place->path, &err);
    assert_non_null(keys);
    enum role role;
    _cleanup_free_ char *name = NULL;
    assert_true(keys_check(keys, viewer, &role, &name));
    assert_int_equal(role, ROLE_VIEWER);
    assert_string_equal(name, "wall");
    free(steal(name));
    assert_true(keys_check(keys, admin, &role, &name));
    assert_int_equal(role, ROLE_ADMIN);
    assert_string_equal(name, "ops");
}

/* A server that runs sees the file's changes with the next request. */
static void a_changed_file_counts_at_once(void **state) {
    struct place *place = *state;
    struct error err;
    enum role role;
    int count;
    _cleanup_free_ char *name = NULL, *none = NULL, *first = keys_create(place->path, "ops", ROLE_ADMIN, &err);
    _cleanup_keys_ struct keys *keys = keys_load(place->path, &err);
    assert_ok(keys, err);
    _cleanup_free_ char *second = keys_create(place->path, "wall", ROLE_VIEWER, &err);
    assert_true(keys_check(keys, second, &role, &name));
    assert_string_equal(name, "wall");
    assert_ok(keys_revoke(place->path, "wall", &count, &err), err);
    assert_int_equal(count, 1);
    assert_false(keys_check(keys, second, &role, &none));
    assert_code(keys_revoke(place->path, "wall", &count, &err), ERR_USAGE, err);
    write_keys(place, "{\"keys\":[{}]}"); /* no file of keys: those of before stay */
    free(steal(name));
    assert_true(keys_check(keys, first, &role, &name));
    write_keys(place, "{\"keys\":[]}");
    assert_false(keys_check(keys, first, &role, &none));
}

static void *create_keys(void *path) {
    struct error err;
    for (int i = 0; i < 20; i++) {
        _cleanup_free_ char *key = keys_create(path, "many", ROLE_VIEWER, &err);
        assert_ok(key, err);
    }
    return NULL;
}

static void two_at_once_lose_no_key(void **state) {
    struct place *place = *state;
    struct error err;
    pthread_t other;
    int count;
    assert_ok(thread_start(&other, "keys", create_keys, place->path, &err), err);
    create_keys(place->path);
    pthread_join(other, NULL);
    assert_ok(keys_revoke(place->path, "many", &count, &err), err);
    assert_int_equal(count, 40);
}

static void unknown_keys_are_refused(void **state) {
    struct place *place = *state;
    struct error err;
    _cleanup_free_ char *key = keys_create(place->path, "ops", ROLE_ADMIN, &err);
    _cleanup_(keys_free_cleanup) struct keys *keys = keys_load(place->path, &err);
    assert_non_null(keys);
    enum role role;
    _cleanup_free_ char *name = NULL;
    _cleanup_free_ char *longer = xasprintf("%sx", key);
    assert_false(keys_check(keys, longer, &role, &name));
    assert_false(keys_check(keys, "", &role, &name));
    key[10] = key[10] == 'a' ? 'b' : 'a';
    assert_false(keys_check(keys, key, &role, &name));
}

static void the_file_is_private_and_holds_no_key(void **state) {
    struct place *place = *state;
    struct error err;
    _cleanup_free_ char *key = keys_create(place->path, "ops", ROLE_ADMIN, &err);
    struct stat status;
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    _cleanup_buffer_ struct buffer text = {0};
    assert_true(file_read(place->path, 65536, &text, &err));
    assert_null(strstr(text.data, key));
}

static void bad_files_are_config_errors(void **state) {
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"keys\":[]}",
                                      "{\"keys\":[{\"name\":\"a\",\"role\":\"admin\",\"sha256\":\"abc\"}]}",
                                      "{\"keys\":[{\"name\":\"a\",\"role\":\"root\",\"sha256\":"
                                      "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}]}"};
    struct place *place = *state;
    struct error err = {0};
    assert_null(keys_load(place->path, &err));
    assert_int_equal(err.code, ERR_CONFIG_INVALID);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        write_keys(place, bad[i]);
        err = (struct error){0};
        assert_null(keys_load(place->path, &err));
        assert_int_equal(err.code, ERR_CONFIG_INVALID);
    }
    write_keys(place, "{}");
    assert_null(keys_create(place->path, "ops", ROLE_ADMIN, &err));
    assert_int_equal(err.code, ERR_CONFIG_INVALID);
}

#define with_place(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void) {
    process_begin();
    http_process_begin();
    const struct CMUnitTest tests[] = {
        with_place(created_keys_are_found_with_name_and_role),
        with_place(a_changed_file_counts_at_once),
        with_place(two_at_once_lose_no_key),
        with_place(unknown_keys_are_refused),
        with_place(the_file_is_private_and_holds_no_key),
        with_place(bad_files_are_config_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
