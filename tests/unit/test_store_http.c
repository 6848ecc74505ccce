#include "test.h"

#include <limits.h>

#include "base/process.h"
#include "store/http.h"

/* Full jitter: anywhere between nothing and the doubled, bounded wait; spread, not all the same. */
static void waits_between_tries(void **state) {
    const struct http_policy policy = {.base_ms = 100, .limit_ms = 3000};
    static const int64_t most[] = {100, 200, 400, 800, 1600, 3000, 3000};
    for (int attempt = 0; attempt < (int)ARRAY_LENGTH(most); attempt++) {
        int64_t least_seen = INT64_MAX, most_seen = -1;
        for (int i = 0; i < 2000; i++) {
            int64_t delay = http_retry_delay_ms(&policy, attempt);
            least_seen = MIN(least_seen, delay);
            most_seen = MAX(most_seen, delay);
        }
        assert_true(least_seen >= 0 && least_seen < most[attempt] / 10);
        assert_true(most_seen < most[attempt] && most_seen > most[attempt] * 9 / 10 - 1);
    }
    assert_in_range(http_retry_delay_ms(&policy, INT_MAX), 0, 3000);
}

static void knows_what_passes(void **state) {
    static const int passing[] = {408, 429, 500, 502, 503, 504};
    static const int lasting[] = {200, 206, 301, 304, 400, 401, 403, 404, 409, 412, 416, 501, 505};
    for (size_t i = 0; i < ARRAY_LENGTH(passing); i++)
        assert_true(http_is_transient(passing[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(lasting); i++)
        assert_false(http_is_transient(lasting[i]));
}

int main(void) {
    process_begin();
    http_process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_between_tries),
        cmocka_unit_test(knows_what_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
