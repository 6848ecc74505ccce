#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "scale/policy.h"

static struct scale_demand batch_of(int64_t ready, int64_t leased, int64_t delayed) {
    return (struct scale_demand){.load[CLASS_BATCH] = {.ready = ready, .leased = leased, .delayed = delayed}};
}

static int desired(int64_t ready, int64_t leased, int64_t delayed, int max) {
    struct scale_rule rule = scale_rule_default;
    rule.max = max;
    struct scale_demand demand = batch_of(ready, leased, delayed);
    return scale_desired(&rule, &demand).total;
}

static int by_the_design(int jobs) {
    if (jobs == 0)
        return 0;
    if (jobs <= 5)
        return 2;
    if (jobs <= 20)
        return jobs % 3 == 0 ? jobs / 3 : jobs / 3 + 1;
    return jobs % 2 == 0 ? jobs / 2 : jobs / 2 + 1;
}

static void table_from_0_to_200(void **state) {
    for (int jobs = 0; jobs <= 200; jobs++) {
        assert_int_equal(desired(jobs, 0, 0, 1000), by_the_design(jobs));
        assert_int_equal(desired(jobs, 0, 0, SCALE_CAP), MIN(by_the_design(jobs), 20));
        for (int class = 0; class < CLASS_COUNT; class ++) {
            struct scale_demand demand = {0};
            demand.load[class].ready = jobs;
            struct scale_answer answer = scale_desired(&scale_rule_default, &demand);
            assert_int_equal(answer.workers[class], MIN(by_the_design(jobs), 20));
            assert_int_equal(answer.total, answer.workers[class]);
        }
    }
}

static void leases_and_delayed_jobs_count(void **state) {
    assert_int_equal(desired(0, 1, 0, 20), 2);
    assert_int_equal(desired(0, 0, 1, 20), 2);
    assert_int_equal(desired(2, 2, 3, 20), 3);
    assert_int_equal(desired(INT64_MAX / 4, 0, 0, 20), 20);
    assert_int_equal(desired(5, 0, 0, 0), 0);
}

/* Between its steps the rule never asks for less when there is more, and the cap keeps that. */
static void monotone(void **state) {
    for (int jobs = 1; jobs <= 2000; jobs++)
        assert_true(desired(jobs, 0, 0, 50) >= desired(jobs - 1, 0, 0, 50));
}

static void urgent_goes_first(void **state) {
    struct scale_demand demand = {{{.ready = 34}, {.ready = 100}}};
    struct scale_answer answer = scale_desired(&scale_rule_default, &demand);
    assert_int_equal(answer.workers[CLASS_URGENT], 17);
    assert_int_equal(answer.workers[CLASS_BATCH], 3);
    demand.load[CLASS_URGENT].ready = 1000;
    assert_int_equal(scale_desired(&scale_rule_default, &demand).workers[CLASS_BATCH], 0);
    demand.load[CLASS_BATCH].leased = 1;
    answer = scale_desired(&scale_rule_default, &demand);
    assert_int_equal(answer.workers[CLASS_BATCH], 1);
    assert_int_equal(answer.total, 20);
}

/* One deployment for both classes goes by the sum of their jobs. */
static void both_classes_together_ask_the_rule_once(void **state) {
    struct scale_demand demand = {{{.ready = 3}, {.ready = 3}}};
    struct scale_answer answer = scale_desired(&scale_rule_default, &demand);
    assert_int_equal(answer.workers[CLASS_URGENT], 2);
    assert_int_equal(answer.workers[CLASS_BATCH], 2);
    assert_int_equal(answer.total, 2);
    demand.load[CLASS_BATCH] = (struct scale_load){.ready = 30, .leased = 4, .held = true};
    assert_int_equal(scale_desired(&scale_rule_default, &demand).total, 2 + 4);
}

static void a_held_class_keeps_a_worker_for_each_lease(void **state) {
    struct scale_demand demand = batch_of(50, 3, 1);
    demand.load[CLASS_BATCH].held = true;
    assert_int_equal(scale_desired(&scale_rule_default, &demand).total, 3);
    demand.load[CLASS_BATCH].leased = 0;
    assert_int_equal(scale_desired(&scale_rule_default, &demand).total, 0);
    demand.load[CLASS_URGENT].ready = 1;
    assert_int_equal(scale_desired(&scale_rule_default, &demand).total, 2);
}

/* Pool image: four jobs at once in one worker, and four workers at most. Nothing else about a rule is different. */
static void pictures_ask_for_a_worker_for_every_four(void **state) {
    _cleanup_json_ json_t *problems = json_array();
    _cleanup_policies_ struct scale_policies *policies = scale_policies_read(NULL, true, problems);
    const struct scale_rule *rule = &policies->pools[POOL_IMAGE].rule;
    for (int jobs = 0; jobs <= 200; jobs++) {
        struct scale_demand demand = batch_of(jobs, 0, 0);
        assert_int_equal(scale_desired(rule, &demand).total, MIN((jobs + 3) / 4, 4));
    }
    struct scale_demand both = {{{.ready = 5}, {.ready = 50, .leased = 1}}};
    struct scale_answer answer = scale_desired(rule, &both);
    assert_int_equal(answer.workers[CLASS_URGENT], 2);
    assert_int_equal(answer.workers[CLASS_BATCH], 2);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        assert_int_equal(policies->pools[pool].rule.max, pool == POOL_IMAGE ? 4 : 20);
}

/* In the evening nothing more begins. Were a worker wanted for each of a node's four jobs, three more would start. */
static void a_hold_starts_no_worker_for_pictures(void **state) {
    const struct scale_rule *rule = scale_rule_usual(POOL_IMAGE);
    static const int wanted[] = {0, 1, 1, 1, 1, 2, 2, 2, 2, 3};
    for (int leased = 0; leased < (int)ARRAY_LENGTH(wanted); leased++) {
        struct scale_demand demand = batch_of(40, leased, 2);
        demand.load[CLASS_BATCH].held = true;
        assert_int_equal(scale_desired(rule, &demand).total, wanted[leased]);
        assert_int_equal(scale_desired(rule, &demand).workers[CLASS_BATCH], wanted[leased]);
    }
    struct scale_demand demand = batch_of(40, 5, 0);
    demand.load[CLASS_BATCH].held = true;
    _cleanup_free_ char *why = scale_explain(rule, &demand, CLASS_BATCH);
    assert_string_equal(why,
                        "45 jobs (40 ready, 5 leased, 0 delayed); held: a worker for every 4 leased jobs, until they "
                        "finish");
}

/* Random rules and loads: never above the cap, never 0 while something is leased. */
static void bounds_hold_for_every_rule(void **state) {
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        struct scale_rule rule = {.step_count = 2, .max = 1 + rand_r(&seed) % 30, .at_once = 1 + rand_r(&seed) % 4};
        rule.steps[0] = (struct scale_step){.up_to = rand_r(&seed) % 20, .workers = rand_r(&seed) % 3};
        rule.steps[1] = (struct scale_step){.up_to = INT64_MAX, .jobs_per_worker = rand_r(&seed) % 4};
        struct scale_demand demand;
        for (int class = 0; class < CLASS_COUNT; class ++)
            demand.load[class] = (struct scale_load){.ready = rand_r(&seed) % 60,
                                                     .leased = rand_r(&seed) % 3 * (rand_r(&seed) % 10),
                                                     .delayed = rand_r(&seed) % 3,
                                                     .held = rand_r(&seed) % 4 == 0};
        struct scale_answer answer = scale_desired(&rule, &demand);
        assert_in_range(answer.total, 0, rule.max);
        for (int class = 0; class < CLASS_COUNT; class ++)
            if (demand.load[class].leased > 0 && rule.max > 1)
                assert_true(answer.workers[class] > 0);
        if (demand.load[CLASS_URGENT].leased + demand.load[CLASS_BATCH].leased > 0)
            assert_true(answer.total > 0);
    }
}

static json_t *parse(const char *text) {
    struct error err;
    json_t *value = json_parse(text, strlen(text), &err);
    assert_non_null(value);
    return value;
}

static void a_rule_of_farm_json_is_read(void **state) {
    _cleanup_json_ json_t *pools = parse("{\"lipsync\":{\"rule\":[{\"up_to\":0,\"workers\":0},{\"jobs_per_worker\":4}],"
                                         "\"max\":7},\"image\":{\"max\":2}}");
    _cleanup_json_ json_t *problems = json_array();
    _cleanup_policies_ struct scale_policies *policies = scale_policies_read(pools, false, problems);
    assert_non_null(policies);
    struct scale_demand demand = batch_of(9, 0, 0);
    assert_int_equal(scale_desired(&policies->pools[POOL_LIPSYNC].rule, &demand).total, 3);
    assert_int_equal(scale_desired(&policies->pools[POOL_CPU].rule, &demand).total, 3);
    demand = batch_of(900, 0, 0);
    assert_int_equal(scale_desired(&policies->pools[POOL_LIPSYNC].rule, &demand).total, 7);
    assert_int_equal(scale_desired(&policies->pools[POOL_CPU].rule, &demand).total, 20);
    assert_int_equal(scale_desired(&policies->pools[POOL_IMAGE].rule, &demand).total, 2);
    _cleanup_free_ char *why = scale_explain(&policies->pools[POOL_LIPSYNC].rule, &demand, CLASS_BATCH);
    assert_string_equal(why, "900 jobs (900 ready, 0 leased, 0 delayed); more than 0 ask for a worker for every 4: "
                             "225; the cap of 7 for both classes leaves 7");
}

static bool has_problem(const json_t *problems, const char *path) {
    size_t i;
    json_t *problem;
    json_array_foreach (problems, i, problem)
        if (strcmp(json_get_string(problem, "path", ""), path) == 0)
            return true;
    return false;
}

static void every_problem_is_told_with_its_path(void **state) {
    static const struct {
        const char *pools, *path;
    } cases[] = {
        {"[]", "$.pools"},
        {"{\"gpu\":{}}", "$.pools.gpu"},
        {"{\"cpu\":3}", "$.pools.cpu"},
        {"{\"cpu\":{\"maxx\":3}}", "$.pools.cpu.maxx"},
        {"{\"cpu\":{\"max\":0}}", "$.pools.cpu.max"},
        {"{\"cpu\":{\"max\":\"20\"}}", "$.pools.cpu.max"},
        {"{\"cpu\":{\"rule\":{}}}", "$.pools.cpu.rule"},
        {"{\"cpu\":{\"rule\":[]}}", "$.pools.cpu.rule"},
        {"{\"cpu\":{\"rule\":[5]}}", "$.pools.cpu.rule[0]"},
        {"{\"cpu\":{\"rule\":[{}]}}", "$.pools.cpu.rule[0]"},
        {"{\"cpu\":{\"rule\":[{\"workers\":1,\"jobs_per_worker\":1}]}}", "$.pools.cpu.rule[0]"},
        {"{\"cpu\":{\"rule\":[{\"workers\":-1}]}}", "$.pools.cpu.rule[0].workers"},
        {"{\"cpu\":{\"rule\":[{\"jobs_per_worker\":0}]}}", "$.pools.cpu.rule[0].jobs_per_worker"},
        {"{\"cpu\":{\"rule\":[{\"workers\":1},{\"workers\":2}]}}", "$.pools.cpu.rule[0].up_to"},
        {"{\"cpu\":{\"rule\":[{\"up_to\":1,\"workers\":1}]}}", "$.pools.cpu.rule[0].up_to"},
        {"{\"cpu\":{\"rule\":[{\"up_to\":5,\"workers\":1},{\"up_to\":5,\"workers\":2},{\"workers\":2}]}}",
         "$.pools.cpu.rule[1].up_to"},
        {"{\"cpu\":{\"quiet_hours\":{\"from\":\"25:00\"}}}", "$.pools.cpu.quiet_hours.from"},
        {"{\"cpu\":{\"quiet_hours\":{\"to\":\"23:00\"}}}", "$.pools.cpu.quiet_hours.to"},
        {"{\"cpu\":{\"quiet_hours\":{\"zone\":\"Mars/Olympus\"}}}", "$.pools.cpu.quiet_hours.zone"},
        {"{\"cpu\":{\"quiet_hours\":{\"zone\":\"../../etc/passwd\"}}}", "$.pools.cpu.quiet_hours.zone"},
        {"{\"cpu\":{\"quiet_hours\":{\"classes\":[\"slow\"]}}}", "$.pools.cpu.quiet_hours.classes"},
        {"{\"cpu\":{\"days\":{\"2026-02-30\":\"hold\"}}}", "$.pools.cpu.days.2026-02-30"},
        {"{\"cpu\":{\"days\":{\"2026-02-28\":\"off\"}}}", "$.pools.cpu.days.2026-02-28"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_json_ json_t *pools = parse(cases[i].pools), *problems = json_array();
        assert_null(scale_policies_read(pools, true, problems));
        if (!has_problem(problems, cases[i].path)) {
            _cleanup_free_ char *text = json_line(problems);
            fail_msg("%s: %s not in %s", cases[i].pools, cases[i].path, text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_from_0_to_200),
        cmocka_unit_test(leases_and_delayed_jobs_count),
        cmocka_unit_test(monotone),
        cmocka_unit_test(urgent_goes_first),
        cmocka_unit_test(both_classes_together_ask_the_rule_once),
        cmocka_unit_test(a_held_class_keeps_a_worker_for_each_lease),
        cmocka_unit_test(pictures_ask_for_a_worker_for_every_four),
        cmocka_unit_test(a_hold_starts_no_worker_for_pictures),
        cmocka_unit_test(bounds_hold_for_every_rule),
        cmocka_unit_test(a_rule_of_farm_json_is_read),
        cmocka_unit_test(every_problem_is_told_with_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
