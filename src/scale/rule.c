#include "scale/rule.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "farm/spec.h"

/* clang-format off */
const struct scale_rule scale_rule_default = {
    .steps = {{.up_to = 0, .workers = 0},
              {.up_to = 5, .workers = 2},
              {.up_to = 20, .jobs_per_worker = 3},
              {.up_to = INT64_MAX, .jobs_per_worker = 2}},
    .step_count = 4,
    .max = SCALE_CAP,
    .at_once = 1,
};
/* clang-format on */

const struct scale_rule *scale_rule_usual(enum pool pool) {
    static const struct scale_rule image = {.steps = {{.up_to = INT64_MAX, .jobs_per_worker = SCALE_IMAGE_JOBS}},
                                            .step_count = 1,
                                            .max = SCALE_IMAGE_CAP,
                                            .at_once = SCALE_IMAGE_JOBS};
    return pool == POOL_IMAGE ? &image : &scale_rule_default;
}

/* A whole number of the object, which may be missing. */
static int64_t rule_read_count(struct spec *spec, const json_t *object, const char *key, const char *path, int64_t low,
                               int64_t high, int64_t fallback) {
    const json_t *value = json_object_get(object, key);
    if (!value)
        return fallback;
    int64_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= low && number <= high)
        return number;
    _cleanup_free_ char *message = xasprintf("is not a whole number from %" PRId64 " to %" PRId64, low, high);
    spec_problem(spec, path, key, message);
    return fallback;
}

static void rule_read_step(struct spec *spec, const json_t *step, const char *path, bool last, struct scale_step *out) {
    static const char *const known[] = {"up_to", "workers", "jobs_per_worker", NULL};
    if (!json_is_object(step)) {
        spec_problem(spec, path, NULL, "is not an object such as {\"up_to\":5,\"workers\":2}");
        return;
    }
    spec_unknown_members(spec, step, path, known);
    bool fixed = json_object_get(step, "workers"), shared = json_object_get(step, "jobs_per_worker");
    if (fixed == shared)
        spec_problem(spec, path, NULL, "needs either \"workers\" or \"jobs_per_worker\"");
    if (last == (json_object_get(step, "up_to") != NULL))
        spec_problem(spec, path, "up_to",
                     last ? "must not be given for the last step, which serves all that is above" : "is missing");
    out->up_to = last ? INT64_MAX : rule_read_count(spec, step, "up_to", path, 0, 1000000000, 0);
    out->workers = (int)rule_read_count(spec, step, "workers", path, 0, SCALE_CAP_MAX, 0);
    out->jobs_per_worker = (int)rule_read_count(spec, step, "jobs_per_worker", path, 1, 1000000, 0);
}

static void rule_read_steps(struct spec *spec, const json_t *steps, const char *path, struct scale_rule *out) {
    size_t count = json_array_size(steps);
    if (count < 1 || count > SCALE_STEPS_MAX) {
        _cleanup_free_ char *message = xasprintf("is not a list of 1 to %d steps", SCALE_STEPS_MAX);
        spec_problem(spec, path, NULL, message);
        return;
    }
    out->step_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *where = xasprintf("%s[%zu]", path, i);
        out->steps[i] = (struct scale_step){0};
        rule_read_step(spec, json_array_get(steps, i), where, i == count - 1, &out->steps[i]);
        if (i > 0 && json_is_object(json_array_get(steps, i)) && out->steps[i].up_to <= out->steps[i - 1].up_to)
            spec_problem(spec, where, "up_to", "is not greater than that of the step before");
    }
}

void scale_rule_read(const json_t *pool, const struct scale_rule *usual, const char *path, json_t *problems,
                     struct scale_rule *out) {
    struct spec spec = {problems};
    *out = *usual;
    out->max = (int)rule_read_count(&spec, pool, "max", path, 1, SCALE_CAP_MAX, usual->max);
    _cleanup_free_ char *where = xasprintf("%s.rule", path);
    const json_t *steps = json_object_get(pool, "rule");
    if (steps)
        rule_read_steps(&spec, steps, where, out);
}

static const struct scale_step *rule_step_for(const struct scale_rule *rule, int64_t jobs) {
    const struct scale_step *step = rule->steps;
    while (jobs > step->up_to)
        step++;
    return step;
}

/* How many workers with so many jobs each have all of them. */
static int64_t rule_share(int64_t jobs, int per_worker) {
    return MAX(jobs, 0) / per_worker + (MAX(jobs, 0) % per_worker != 0);
}

/* What the steps alone say about a number of jobs, without the cap. */
static int64_t rule_workers(const struct scale_rule *rule, int64_t jobs) {
    const struct scale_step *step = rule_step_for(rule, jobs);
    return step->jobs_per_worker ? rule_share(jobs, step->jobs_per_worker) : step->workers;
}

static int64_t load_jobs(const struct scale_load *load) {
    return load->held ? load->leased : load->ready + load->leased + load->delayed;
}

static int64_t rule_wanted(const struct scale_rule *rule, const struct scale_load *load) {
    if (load->held)
        return rule_share(load->leased, rule->at_once);
    return MAX(rule_workers(rule, load_jobs(load)), (int64_t)(load->leased > 0));
}

static int64_t rule_wanted_together(const struct scale_rule *rule, const struct scale_demand *demand) {
    struct scale_load open = {0};
    int64_t held = 0;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct scale_load *load = &demand->load[class];
        held += load->held ? load->leased : 0;
        open.leased += load->held ? 0 : load->leased;
        open.ready += load->held ? 0 : load->ready + load->delayed;
    }
    return rule_share(held, rule->at_once) + rule_wanted(rule, &open);
}

struct scale_answer scale_desired(const struct scale_rule *rule, const struct scale_demand *demand) {
    const struct scale_load *urgent = &demand->load[CLASS_URGENT], *batch = &demand->load[CLASS_BATCH];
    int kept = batch->leased > 0 && rule->max > 1;
    struct scale_answer answer;
    answer.workers[CLASS_URGENT] = (int)MIN(rule_wanted(rule, urgent), (int64_t)rule->max - kept);
    answer.workers[CLASS_BATCH] = (int)MIN(rule_wanted(rule, batch), (int64_t)rule->max - answer.workers[CLASS_URGENT]);
    answer.total = (int)MIN(rule_wanted_together(rule, demand), (int64_t)rule->max);
    return answer;
}

static void rule_explain_hold(struct buffer *out, const struct scale_rule *rule) {
    if (rule->at_once == 1)
        buffer_append_text(out, "held: a worker for each leased job, until it finishes");
    else
        buffer_appendf(out, "held: a worker for every %d leased jobs, until they finish", rule->at_once);
}

static void rule_explain_step(struct buffer *out, const struct scale_rule *rule, int64_t jobs) {
    const struct scale_step *step = rule_step_for(rule, jobs);
    if (step->up_to == INT64_MAX && step == rule->steps)
        buffer_append_text(out, "any number");
    else if (step->up_to == INT64_MAX)
        buffer_appendf(out, "more than %" PRId64, step[-1].up_to);
    else
        buffer_appendf(out, "up to %" PRId64, step->up_to);
    if (step->jobs_per_worker)
        buffer_appendf(out, " ask for a worker for every %d: %" PRId64, step->jobs_per_worker,
                       rule_workers(rule, jobs));
    else
        buffer_appendf(out, " ask for %d", step->workers);
}

char *scale_explain(const struct scale_rule *rule, const struct scale_demand *demand, enum campaign_class class) {
    const struct scale_load *load = &demand->load[class];
    struct scale_answer answer = scale_desired(rule, demand);
    struct buffer out = {0};
    buffer_appendf(&out, "%" PRId64 " jobs (%" PRId64 " ready, %" PRId64 " leased, %" PRId64 " delayed); ",
                   load->ready + load->leased + load->delayed, load->ready, load->leased, load->delayed);
    if (load->held)
        rule_explain_hold(&out, rule);
    else
        rule_explain_step(&out, rule, load_jobs(load));
    if (rule_wanted(rule, load) > answer.workers[class])
        buffer_appendf(&out, "; the cap of %d for both classes leaves %d", rule->max, answer.workers[class]);
    else if (!load->held && rule_wanted(rule, load) > rule_workers(rule, load_jobs(load)))
        buffer_append_text(&out, "; one while a lease is held");
    return buffer_steal(&out);
}
