#include "farm/failure.h"

#include <math.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "farm/spec.h"

enum { DAY_S = 24 * 3600 };

static const struct {
    const char *name;
    double low, high;
    int scale; /* what is given in seconds is kept in ms */
} limits[FAILURE_LIMIT_COUNT] = {
    [FAILURE_ERRORS] = {"errors", 1, 1000, 1},
    [FAILURE_FIRST_RETRY] = {"first_retry_s", 0.001, DAY_S, 1000},
    [FAILURE_LONGEST_RETRY] = {"longest_retry_s", 0.001, DAY_S, 1000},
    [FAILURE_LONGEST_RUN] = {"longest_run_s", 1, 10 * DAY_S, 1000},
    [FAILURE_CRASHED_WORKERS] = {"crashed_workers", 1, 1000, 1},
    [FAILURE_CRASHES] = {"crashes", 1, 1000, 1},
    [FAILURE_REFUSALS] = {"refusals", 1, 1000, 1},
};

#define KIND(id, name, workload, pool, per_language, numbered, alone, files, runner, ...) [KIND_##id] = {__VA_ARGS__},
const struct failure_policies failure_defaults = {{
#include "farm/kinds.def"
}};
#undef KIND

static int failure_read_limit(struct spec *spec, const json_t *kind, int limit, const char *path, int fallback) {
    const char *name = limits[limit].name;
    double given = spec_number(spec, kind, name, path, limits[limit].low, limits[limit].high,
                               (double)fallback / limits[limit].scale);
    double value = round(given * limits[limit].scale);
    if (limits[limit].scale == 1 && value != given)
        spec_problem(spec, path, name, "is not a whole number");
    return (int)value;
}

static void failure_read_kind(struct spec *spec, const json_t *kind, const char *path, int out[FAILURE_LIMIT_COUNT]) {
    const char *known[FAILURE_LIMIT_COUNT + 1] = {0};
    if (kind && !json_is_object(kind))
        spec_problem(spec, path, NULL, "is not an object");
    for (int i = 0; i < FAILURE_LIMIT_COUNT; i++) {
        known[i] = limits[i].name;
        out[i] = failure_read_limit(spec, kind, i, path, out[i]);
    }
    spec_unknown_members(spec, kind, path, known);
    if (out[FAILURE_FIRST_RETRY] > out[FAILURE_LONGEST_RETRY])
        spec_problem(spec, path, limits[FAILURE_FIRST_RETRY].name, "is more than longest_retry_s");
    if (out[FAILURE_CRASHED_WORKERS] > out[FAILURE_CRASHES])
        spec_problem(spec, path, limits[FAILURE_CRASHED_WORKERS].name, "is more than crashes");
}

void failure_read(const json_t *failure, json_t *problems, struct failure_policies *out) {
    struct spec spec = {problems};
    const char *known[KIND_COUNT + 1] = {0};
    *out = failure_defaults;
    if (failure && !json_is_object(failure))
        spec_problem(&spec, "$.failure", NULL, "is not an object");
    for (int i = 0; i < KIND_COUNT; i++) {
        known[i] = job_kind_name((enum job_kind)i);
        _cleanup_free_ char *path = xasprintf("$.failure.%s", known[i]);
        failure_read_kind(&spec, json_object_get(failure, known[i]), path, out->limits[i]);
    }
    spec_unknown_members(&spec, failure, "$.failure", known);
}

char *failure_describe(const struct failure_policies *policies, enum job_kind kind) {
    struct buffer text = {0};
    for (int i = 0; i < FAILURE_LIMIT_COUNT; i++)
        buffer_appendf(&text, "%s%s %g", i ? ", " : "", limits[i].name,
                       (double)policies->limits[kind][i] / limits[i].scale);
    return text.data;
}
