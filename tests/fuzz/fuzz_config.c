/* farm.json: settings, failure policies and the pools' rules and calendars. */
#include "farm/config.h"
#include "fuzz.h"
#include "scale/policy.h"

static void check_failure(const struct failure_policies *policies) {
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        const int *limits = policies->limits[kind];
        for (int i = 0; i < FAILURE_LIMIT_COUNT; i++)
            ensure(limits[i] >= 1);
        ensure(limits[FAILURE_FIRST_RETRY] <= limits[FAILURE_LONGEST_RETRY]);
        ensure(limits[FAILURE_CRASHED_WORKERS] <= limits[FAILURE_CRASHES]);
        _cleanup_free_ char *text = failure_describe(policies, (enum job_kind)kind);
        ensure(fuzz_is_utf8(text));
    }
}

/* A calendar's next change always lies ahead, or the loop that waits for it would not end. */
static void check_pools(const struct scale_policies *policies) {
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int class = 0; class < CLASS_COUNT; class ++) {
            const struct calendar *calendar = policies->pools[pool].calendar;
            int64_t now = INT64_C(1761955200000);
            for (int i = 0; i < 20 && now < INT64_MAX; i++) {
                int64_t next = calendar_next_change(calendar, (enum campaign_class) class, now);
                ensure(next > now);
                if (next < INT64_MAX)
                    ensure(calendar_holds(calendar, (enum campaign_class) class, now) !=
                           calendar_holds(calendar, (enum campaign_class) class, next));
                now = next;
            }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err = {.code = ERR_NONE};
    _cleanup_config_ struct config *config = config_load(fuzz_file(bytes, length), &err);
    if (!config) {
        ensure(err.code != ERR_NONE && err.message[0]);
        return 0;
    }
    check_failure(config_failure(config));
    _cleanup_json_ json_t *shown = config_describe(config);
    ensure(json_array_size(shown) > KIND_COUNT);
    int64_t number;
    if (config_get_integer(config, "cooldown", 1, 86400, &number, &err))
        ensure(number >= 1 && number <= 86400);
    _cleanup_policies_ struct scale_policies *policies = scale_policies_load(config, false, NULL, &err);
    if (policies)
        check_pools(policies);
    return 0;
}
