#include "test.h"

#include <string.h>

#include "base/process.h"
#include "server/route.h"
#include "store/http.h"

static void assert_route(const char *method, const char *path, const char *pattern, const char *first,
                         const char *second) {
    char *arguments[PATH_ARGUMENTS] = {0}, *allowed = NULL;
    struct error err;
    const struct route *route = route_find(method, path, arguments, &allowed, &err);
    assert_non_null(route);
    assert_string_equal(route->pattern, pattern);
    assert_string_equal(arguments[0] ? arguments[0] : "", first);
    assert_string_equal(arguments[1] ? arguments[1] : "", second);
    free(arguments[0]);
    free(arguments[1]);
}

static void paths_find_their_routes(void **state) {
    assert_route("GET", "/v1/campaigns", "/v1/campaigns", "", "");
    assert_route("HEAD", "/v1/campaigns", "/v1/campaigns", "", "");
    assert_route("DELETE", "/v1/campaigns/a-1", "/v1/campaigns/{}", "a-1", "");
    assert_route("GET", "/v1/campaigns/a-1/jobs", "/v1/campaigns/{}/jobs", "a-1", "");
    assert_route("GET", "/v1/campaigns/a-1/files/hi/final.mp4", "/v1/campaigns/{}/files/{*}", "a-1", "hi/final.mp4");
    assert_route("GET", "/v1/jobs/a-1/hi/dub/0007", "/v1/jobs/{*}", "a-1/hi/dub/0007", "");
    assert_route("POST", "/v1/jobs/a-1/hi/dub/0007/retry", "/v1/jobs/{*}/retry", "a-1/hi/dub/0007", "");
    assert_route("GET", "/v1/pools/cpu/desired", "/v1/pools/{}/desired", "cpu", "");
    assert_route("HEAD", "/v1/files/abc", "/v1/files/{}", "abc", "");
}

static void assert_none(const char *method, const char *path, enum error_code code, const char *methods) {
    char *arguments[PATH_ARGUMENTS] = {0}, *allowed = NULL;
    struct error err;
    assert_null(route_find(method, path, arguments, &allowed, &err));
    assert_int_equal(err.code, code);
    assert_string_equal(allowed ? allowed : "", methods);
    assert_null(arguments[0]);
    free(allowed);
}

static void other_paths_and_methods_are_refused(void **state) {
    assert_none("GET", "/", ERR_API_NOT_FOUND, "");
    assert_none("GET", "/v1/campaigns/a/b", ERR_API_NOT_FOUND, "");
    assert_none("GET", "/v1/campaignsx", ERR_API_NOT_FOUND, "");
    assert_none("GET", "/v1/jobs", ERR_API_NOT_FOUND, "");
    assert_none("POST", "/v1/jobs/retry", ERR_API_METHOD, "GET");
    assert_none("PATCH", "/v1/campaigns", ERR_API_METHOD, "POST, GET");
    assert_none("GET", "/v1/files/abc", ERR_API_METHOD, "PUT, HEAD");
}

int main(void) {
    process_begin();
    http_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_routes),
        cmocka_unit_test(other_paths_and_methods_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
