#include "test.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "simulate/simulate.h"

static struct scenario *scenario_of(const char *text) {
    struct error err;
    _cleanup_json_ json_t *json = json_parse(text, strlen(text), &err), *problems = json_array();
    struct scenario *scenario = json ? scenario_read(json, problems) : NULL;
    _cleanup_free_ char *found = json_line(problems);
    if (!scenario)
        fail_msg("%s: %s", json ? found : err.message, text);
    return scenario;
}

/* The mean wait in an M/M/c queue: Erlang's C formula (Erlang 1917) times the time to a free server. */
static double erlang_wait(double arrivals, double service, int servers) {
    double load = arrivals * service, term = 1, sum = 0;
    for (int k = 0; k < servers; k++) {
        sum += term;
        term *= load / (k + 1);
    }
    double all_busy = term / (1 - load / servers);
    return all_busy / (sum + all_busy) * service / (servers - load);
}

/* Single jobs, exponential in and out, against workers that are always there. */
static void waits_are_those_of_erlang(void **state) {
    static const struct {
        int workers, slots;
        double load; /* of each slot */
    } cases[] = {{1, 1, 0.5}, {2, 1, 0.6}, {5, 1, 0.7}, {20, 1, 0.8}, {2, 4, 0.75}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int servers = cases[i].workers * cases[i].slots;
        double service = 40, per_hour = cases[i].load * servers * 3600 / service, sum = 0;
        double days = 400000 / per_hour / 24;
        for (int seed = 1; seed <= 4; seed++) {
            _cleanup_free_ char *text =
                xasprintf("{\"seed\":%d,\"days\":%.3f,\"sync_s\":3600,\"arrivals\":{\"jobs_per_hour\":%.9g},"
                          "\"service_s\":{\"dub\":{\"exponential\":%g}},"
                          "\"pools\":{\"lipsync\":{\"max\":%d,\"quiet_hours\":null}},"
                          "\"nodes\":{\"lipsync\":{\"spot_share\":0,\"boot_s\":0,\"pod_s\":0,\"slots\":%d},\"cpu\":{"
                          "\"reserved\":0}}}",
                          seed, MIN(days, 366.0), per_hour, service, cases[i].workers, cases[i].slots);
            _cleanup_scenario_ struct scenario *scenario = scenario_of(text);
            struct simulation result;
            simulate(scenario, SIM_ALWAYS_ON, &result);
            assert_int_equal(result.jobs, scenario->campaign_count);
            assert_float_equal(result.busy_s[POOL_LIPSYNC] / result.paid_s[POOL_LIPSYNC], cases[i].load, 0.02);
            sum += result.wait[CLASS_URGENT].mean;
        }
        double expected = erlang_wait(per_hour / 3600, service, servers);
        if (fabs(sum / 4 / expected - 1) > 0.02)
            fail_msg("%d servers: mean wait %g s, not %g s", servers, sum / 4, expected);
    }
}

/* One campaign of 3 segments and 2 languages, constant times, nothing but the rule. */
static const char *const one_campaign =
    "{\"days\":1,\"start\":\"2026-11-08T00:00:00+05:30\",\"campaigns\":[{\"hour\":10,\"segments\":3,\"languages\":2}],"
    "\"service_s\":{\"plan\":10,\"track\":20,\"dub\":40,\"join\":5},"
    "\"nodes\":{\"lipsync\":{\"spot_share\":0,\"boot_s\":200,\"pod_s\":60,\"price\":{\"on_demand\":3.6}},"
    "\"cpu\":{\"reserved\":1,\"workers\":2,\"price\":{\"reserved\":1}}},\"cool_down_s\":300,\"sync_s\":15}";

/* plan 10 s; 3 tracks ask for 2 workers at the look 15 s in, which are there 260 s later; they do 3 tracks and 6
 * dubs, 300 s of work, in 160 s (20+20+40+40+40 and 20+40+40+40); the last dub is followed by joins of 5 s. */
static void one_campaign_takes_as_long_as_by_hand(void **state) {
    _cleanup_scenario_ struct scenario *scenario = scenario_of(one_campaign);
    struct simulation result;
    simulate(scenario, SIM_RULE, &result);
    assert_int_equal(result.jobs, 1 + 3 + 2 + 6);
    assert_int_equal(result.campaigns, 1);
    assert_int_equal(result.most_workers[POOL_LIPSYNC], 2);
    assert_float_equal(result.busy_s[POOL_LIPSYNC], 300, 1e-6);
    assert_float_equal(result.makespan[CLASS_BATCH].max, 15 + 260 + 160 + 5, 1e-6);
    /* Kept for the cool-down after the last job, to the next look, and a node ends 60 s later. */
    double paid = result.paid_s[POOL_LIPSYNC];
    assert_in_range((int)paid, 2 * (260 + 140 + 300), 2 * (260 + 160 + 300 + 30 + 60));
    assert_float_equal(result.cost[POOL_LIPSYNC][MARKET_ON_DEMAND], paid * 3.6 / 3600, 1e-6);
    assert_float_equal(result.cost[POOL_CPU][MARKET_RESERVED], 24, 1e-6);
}

/* A campaign of 50 pictures, on a day on which nothing else comes; the text in the middle is of the pool. */
#define FIFTY_PICTURES(pool)                                                                                           \
    "{\"days\":1,\"start\":\"2026-11-08T00:00:00+05:30\",\"campaigns\":[{\"hour\":10,\"pictures\":50}],"               \
    "\"service_s\":{\"image\":40,\"sheet\":10},\"pools\":{\"image\":{" pool "}},"                                      \
    "\"nodes\":{\"image\":{\"boot_s\":200,\"pod_s\":60},\"cpu\":{\"reserved\":1,\"price\":{\"reserved\":0}}}}"

/* 13 handfuls ask at once for 4 workers of 4 cards, which are there 260 s later and do them side by side in 40 s; then
 * the sheet, 10 s. With one worker they take four rounds. */
static void a_campaign_of_pictures_takes_as_long_as_by_hand(void **state) {
    static const struct {
        const char *scenario;
        int workers, rounds;
    } cases[] = {{FIFTY_PICTURES(""), 4, 1}, {FIFTY_PICTURES("\"max\":1"), 1, 4}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_scenario_ struct scenario *scenario = scenario_of(cases[i].scenario);
        struct simulation result;
        simulate(scenario, SIM_RULE, &result);
        assert_int_equal(result.jobs, 13 + 1);
        assert_int_equal(result.most_workers[POOL_IMAGE], cases[i].workers);
        assert_float_equal(result.makespan[CLASS_BATCH].max, 260 + cases[i].rounds * 40 + 10, 1e-6);
        assert_float_equal(result.busy_s[POOL_IMAGE], 13 * 40 / 4.0, 1e-6);
        double paid = result.paid_s[POOL_IMAGE];
        assert_in_range((int)paid, cases[i].workers * (260 + 300 + 60), cases[i].workers * (260 + 160 + 300 + 30 + 60));
        assert_float_equal(result.cost[POOL_IMAGE][MARKET_ON_DEMAND], paid * 5.672 / 3600, 1e-6);
        assert_float_equal(simulation_cost(&result), result.cost[POOL_IMAGE][MARKET_ON_DEMAND], 1e-6);
    }
}

/* Whatever the policy: nobody keeps machines for work that never comes. */
static void a_pool_without_jobs_costs_nothing(void **state) {
    static const struct {
        const char *scenario;
        enum pool used, empty;
    } cases[] = {{one_campaign, POOL_LIPSYNC, POOL_IMAGE}, {FIFTY_PICTURES(""), POOL_IMAGE, POOL_LIPSYNC}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (int policy = 0; policy < SIM_POLICY_COUNT; policy++) {
            _cleanup_scenario_ struct scenario *scenario = scenario_of(cases[i].scenario);
            struct simulation result;
            simulate(scenario, (enum sim_policy)policy, &result);
            assert_int_equal(result.unfinished, 0);
            assert_true(simulation_pool_cost(&result, cases[i].used) > 0);
            assert_true(simulation_pool_cost(&result, cases[i].empty) == 0);
            assert_int_equal(result.most_workers[cases[i].empty], 0);
        }
}

/* Four jobs on the four cards of one machine at 23:00: no other machine comes for them. */
static void a_night_starts_no_machine_for_pictures(void **state) {
    _cleanup_scenario_ struct scenario *scenario = scenario_of(
        "{\"days\":1,\"start\":\"2026-11-08T00:00:00+05:30\",\"campaigns\":[{\"hour\":22.9,\"pictures\":16}],"
        "\"service_s\":{\"image\":3600},\"nodes\":{\"image\":{\"boot_s\":200,\"pod_s\":60}}}");
    struct simulation result;
    simulate(scenario, SIM_RULE, &result);
    assert_int_equal(result.unfinished, 0);
    assert_int_equal(result.most_workers[POOL_IMAGE], 1);
    assert_float_equal(result.busy_s[POOL_IMAGE], 3600, 1e-6);
}

/* A machine that is taken back has up to four jobs: each is done in time or goes back, alone. */
static void interruptions_lose_no_picture(void **state) {
    _cleanup_scenario_ struct scenario *scenario =
        scenario_of("{\"seed\":3,\"days\":5,\"arrivals\":{\"campaigns\":3,\"image_campaigns\":20,\"pictures\":[50,90]},"
                    "\"service_s\":{\"image\":[60,400]},\"nodes\":{\"image\":{\"interruptions\":4,\"spot_share\":1}}}");
    size_t handfuls = 0;
    for (size_t i = 0; i < scenario->campaign_count; i++)
        handfuls += (size_t)scenario_handfuls(&scenario->campaigns[i]);
    for (int policy = 0; policy < SIM_POLICY_COUNT; policy++) {
        struct simulation result;
        simulate(scenario, (enum sim_policy)policy, &result);
        assert_int_equal(result.unfinished, 0);
        assert_int_equal(result.campaigns, 23);
        assert_true(result.released > 5);
        assert_true(result.paid_s[POOL_IMAGE] >= result.busy_s[POOL_IMAGE]);
        assert_true(result.busy_s[POOL_IMAGE] >= 60.0 * (double)handfuls / 4 + result.lost_s / 4);
    }
}

/* Pictures are drawn after the dubs, so that the dubs of a seed are the same without them. */
static void pictures_change_no_dub_of_a_month(void **state) {
    _cleanup_scenario_ struct scenario *with = scenario_of("{\"seed\":9,\"arrivals\":{\"image_campaigns\":7}}"),
                                       *without = scenario_of("{\"seed\":9}");
    assert_int_equal(with->campaign_count, without->campaign_count + 7);
    size_t dubs = 0;
    for (size_t i = 0; i < with->campaign_count; i++) {
        const struct scenario_campaign *one = &with->campaigns[i];
        if (one->pictures == 0)
            assert_memory_equal(one, &without->campaigns[dubs++], sizeof *one);
        else
            assert_in_range(one->pictures, 50, 100);
    }
}

static void the_same_seed_gives_the_same_result(void **state) {
    static const char *const month = "{\"seed\":%d,\"days\":10,\"arrivals\":{\"campaigns\":12},"
                                     "\"nodes\":{\"lipsync\":{\"interruptions\":3,\"spot_share\":1}}}";
    _cleanup_free_ char *first = NULL, *again = NULL, *other = NULL;
    char **texts[] = {&first, &again, &other};
    for (int i = 0; i < 3; i++) {
        char text[200];
        snprintf(text, sizeof text, month, i == 2 ? 8 : 7);
        _cleanup_scenario_ struct scenario *scenario = scenario_of(text);
        struct simulation result;
        simulate(scenario, SIM_RULE, &result);
        _cleanup_json_ json_t *json = simulation_to_json(&result);
        *texts[i] = json_line(json);
    }
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
}

/* Whatever the policy: every job is done although machines are taken away, work is never counted twice, and
 * what is paid covers what is busy. */
static void interruptions_lose_no_job(void **state) {
    _cleanup_scenario_ struct scenario *scenario = scenario_of(
        "{\"seed\":5,\"days\":10,\"arrivals\":{\"campaigns\":20,\"festival\":{\"day\":3,\"days\":1,\"share\":0.5}},"
        "\"service_s\":{\"dub\":300},\"nodes\":{\"lipsync\":{\"interruptions\":2,\"spot_share\":1}}}");
    for (int policy = 0; policy < SIM_POLICY_COUNT; policy++) {
        struct simulation result;
        simulate(scenario, (enum sim_policy)policy, &result);
        assert_int_equal(result.unfinished, 0);
        assert_int_equal(result.campaigns, 20);
        assert_true(result.interruptions > 10);
        assert_true(result.released > 0);
        assert_in_range(result.most_workers[POOL_LIPSYNC], 1, 40); /* 20 and those that finish their last job */
        for (int pool = 0; pool < POOL_COUNT; pool++)
            assert_true(result.paid_s[pool] >= result.busy_s[pool]);
        size_t dubs = 0;
        for (size_t i = 0; i < scenario->campaign_count; i++)
            dubs += (size_t)(scenario->campaigns[i].segments * scenario->campaigns[i].languages);
        assert_true(result.busy_s[POOL_LIPSYNC] - result.lost_s >= 300.0 * (double)dubs);
    }
}

/* 22:45 to 07:15 in India: batch that comes at 23:10 begins at 07:00, urgent at once; what runs at 23:00 ends. */
static void batch_waits_for_the_morning(void **state) {
    _cleanup_scenario_ struct scenario *scenario = scenario_of(
        "{\"days\":2,\"start\":\"2026-11-08T00:00:00+05:30\",\"campaigns\":["
        "{\"hour\":22.75,\"segments\":1,\"languages\":0},"
        "{\"hour\":23.1667,\"segments\":1,\"languages\":0},"
        "{\"hour\":23.1667,\"segments\":1,\"languages\":0,\"class\":\"urgent\"}],"
        "\"service_s\":{\"dub\":3600},\"nodes\":{\"lipsync\":{\"spot_share\":0,\"boot_s\":200,\"pod_s\":60}}}");
    struct simulation result;
    simulate(scenario, SIM_RULE, &result);
    assert_int_equal(result.jobs, 3);
    assert_float_equal(result.busy_s[POOL_LIPSYNC], 3 * 3600, 1e-6); /* nothing was killed and begun again */
    assert_true(result.wait[CLASS_URGENT].max < 300);
    double until_morning = (31 - 23.1667) * 3600;
    assert_true(result.wait[CLASS_BATCH].max >= until_morning - 1);
    assert_true(result.wait[CLASS_BATCH].max < until_morning + 300);
}

/* A queue full of batch over the whole night, four minutes a bucket: at 23:00 nothing is stopped and nothing begins,
 * what runs thins out, the rest waits untouched, and at 07:00 it goes on. */
static void a_full_queue_rests_from_23_to_7(void **state) {
    enum { BUCKET_S = 240, EVENING = 23 * 3600 / BUCKET_S, MORNING = 31 * 3600 / BUCKET_S, DUB_S = 600 };
    _cleanup_scenario_ struct scenario *scenario =
        scenario_of("{\"days\":2,\"start\":\"2026-11-08T00:00:00+05:30\",\"campaigns\":["
                    "{\"hour\":22.5,\"segments\":10,\"languages\":8}],\"service_s\":{\"plan\":10,\"track\":20,\"dub\":"
                    "600,\"join\":5},"
                    "\"nodes\":{\"lipsync\":{\"spot_share\":0,\"boot_s\":200,\"pod_s\":60}}}");
    struct simulation result;
    simulate(scenario, SIM_RULE, &result);
    const struct sim_bucket *buckets = result.timelines[SIM_WHOLE].buckets[POOL_LIPSYNC];
    for (int i = EVENING - 4; i < MORNING + 4; i++)
        assert_int_equal(buckets[i].held, i >= EVENING && i < MORNING);
    assert_int_equal(buckets[EVENING - 1].busy, SCALE_CAP);
    assert_int_equal(buckets[EVENING].busy, SCALE_CAP); /* still at work */
    int last = EVENING + DUB_S / BUCKET_S + 1, waiting = buckets[last].ready;
    assert_true(waiting > 0);
    for (int i = EVENING; i + 1 < MORNING; i++)
        assert_true(buckets[i + 1].busy <= buckets[i].busy);
    for (int i = last; i < MORNING; i++) {
        assert_int_equal(buckets[i].busy, 0);
        assert_int_equal(buckets[i].ready, waiting);
    }
    assert_true(buckets[MORNING + 2].busy > 0); /* machines boot for 260 s */
    assert_float_equal(result.busy_s[POOL_LIPSYNC], 10 * 20 + 80 * DUB_S, 1e-6);
    assert_float_equal(result.lost_s, 0, 1e-9);
    assert_int_equal(result.released + result.unfinished, 0);
}

static void a_large_campaign_does_not_starve_a_small_one(void **state) {
    _cleanup_scenario_ struct scenario *scenario = scenario_of(
        "{\"days\":2,\"start\":\"2026-11-08T00:00:00+05:30\",\"campaigns\":["
        "{\"hour\":10,\"segments\":100,\"languages\":20},{\"hour\":10.5,\"segments\":2,\"languages\":2}],"
        "\"service_s\":{\"plan\":10,\"track\":20,\"dub\":40,\"join\":5},\"nodes\":{\"lipsync\":{\"spot_share\":0}}}");
    struct simulation result;
    simulate(scenario, SIM_RULE, &result);
    assert_int_equal(result.campaigns, 2);
    assert_true(result.makespan[CLASS_BATCH].p50 < 400); /* the smaller of two */
    assert_true(result.makespan[CLASS_BATCH].max > 4000);
}

static void scenarios_are_checked(void **state) {
    static const char *const wrong[] = {
        "[]",
        "{\"dayz\":3}",
        "{\"days\":0}",
        "{\"start\":\"yesterday\"}",
        "{\"campaigns\":{}}",
        "{\"campaigns\":[{\"segments\":0}]}",
        "{\"campaigns\":[{\"class\":\"slow\"}]}",
        "{\"campaigns\":[{\"segments\":100000,\"languages\":200},{\"segments\":100000,\"languages\":200}]}",
        "{\"campaigns\":[{\"pictures\":0}]}",
        "{\"campaigns\":[{\"pictures\":10001}]}",
        "{\"campaigns\":[{\"pictures\":50,\"languages\":2}]}",
        "{\"nodes\":{\"image\":{\"slots\":0}}}",
        "{\"nodes\":{\"image\":{\"slots\":17}}}",
        "{\"arrivals\":{\"pictures\":[5,3]}}",
        "{\"service_s\":{\"dub\":-1}}",
        "{\"service_s\":{\"dub\":[5,3]}}",
        "{\"service_s\":{\"dub\":{\"mean\":4}}}",
        "{\"service_s\":{\"dub\":{\"samples\":[]}}}",
        "{\"service_s\":{\"dubs\":4}}",
        "{\"nodes\":{\"lipsync\":{\"spot_share\":2}}}",
        "{\"nodes\":{\"gpu\":{}}}",
        "{\"arrivals\":{\"languages\":[5]}}",
        "{\"pools\":{\"lipsync\":{\"max\":0}}}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct error err;
        _cleanup_json_ json_t *json = json_parse(wrong[i], strlen(wrong[i]), &err), *problems = json_array();
        if (scenario_read(json, problems) || json_array_size(problems) == 0)
            fail_msg("%s was taken", wrong[i]);
    }
}

/* The document in the page, as the page's script has it. */
static json_t *document_of(const char *page) {
    struct error err;
    const char *begin = strstr(page, "const result = ");
    assert_non_null(begin);
    begin += strlen("const result = ");
    json_t *document = json_parse(begin, strcspn(begin, "\n") - 1, &err); /* without the semicolon */
    assert_ok(document, err);
    return document;
}

static void the_report_is_one_page_whose_text_cannot_end_its_script(void **state) {
    _cleanup_scenario_ struct scenario *scenario =
        scenario_of("{\"name\":\"</script><script>a & b\",\"days\":3,\"arrivals\":{\"campaigns\":2}}");
    struct simulation results[2];
    simulate(scenario, SIM_RULE, &results[0]);
    simulate(scenario, SIM_LINEAR, &results[1]);
    _cleanup_free_ char *page = simulation_to_html(scenario, results, 2);
    const char *script = strstr(page, "<script>");
    assert_null(strstr(script + 1, "<script>"));
    assert_string_equal(strstr(script, "</script>"), "</script>\n");
    assert_null(strstr(page, "nan"));
    _cleanup_json_ json_t *document = document_of(page);
    assert_string_equal(json_get_string(json_object_get(document, "scenario"), "name", ""), "</script><script>a & b");
    json_t *simulations = json_object_get(document, "simulations");
    assert_int_equal(json_array_size(simulations), 2);
    assert_string_equal(json_get_string(json_array_get(simulations, 1), "policy", ""), "keda-linear");
}

/* Pools with jobs are drawn, but for cpu. */
static void the_report_draws_the_pools_that_have_jobs(void **state) {
    static const struct {
        const char *scenario, *pools;
    } cases[] = {{one_campaign, "[\"lipsync\"]"},
                 {FIFTY_PICTURES(""), "[\"image\"]"},
                 {"{\"days\":1,\"campaigns\":[{},{\"pictures\":3}]}", "[\"lipsync\",\"image\"]"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_scenario_ struct scenario *scenario = scenario_of(cases[i].scenario);
        struct simulation result;
        simulate(scenario, SIM_RULE, &result);
        _cleanup_free_ char *page = simulation_to_html(scenario, &result, 1);
        _cleanup_json_ json_t *document = document_of(page);
        _cleanup_free_ char *pools = json_line(json_object_get(document, "pools"));
        assert_string_equal(pools, cases[i].pools);
    }
}

/* What is drawn: each part of the time, with what it was at its most. */
static void the_report_has_both_timelines(void **state) {
    _cleanup_scenario_ struct scenario *scenario =
        scenario_of("{\"days\":2,\"campaigns\":[{\"hour\":30,\"segments\":2,\"languages\":1}]}");
    struct simulation result;
    simulate(scenario, SIM_RULE, &result);
    _cleanup_free_ char *page = simulation_to_html(scenario, &result, 1);
    _cleanup_json_ json_t *document = document_of(page);
    const json_t *simulation = json_array_get(json_object_get(document, "simulations"), 0);
    const json_t *day = json_object_get(simulation, "busiest_day"), *whole = json_object_get(simulation, "whole");
    assert_true(json_get_number(day, "from_s", -1) == 86400 && json_get_number(day, "to_s", -1) == 172800);
    assert_true(json_get_number(whole, "from_s", -1) == 0 && json_get_number(whole, "to_s", -1) == 172800);
    const json_t *buckets = json_object_get(json_object_get(day, "buckets"), "lipsync");
    assert_int_equal(json_array_size(buckets), SIM_BUCKETS);
    for (size_t i = 0; i < SIM_BUCKETS; i++) {
        const struct sim_bucket *bucket = &result.timelines[SIM_BUSIEST_DAY].buckets[POOL_LIPSYNC][i];
        const int64_t expected[] = {bucket->workers, bucket->busy, bucket->ready, bucket->held};
        for (size_t member = 0; member < ARRAY_LENGTH(expected); member++)
            assert_int_equal(json_integer_value(json_array_get(json_array_get(buckets, i), member)), expected[member]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_those_of_erlang),
        cmocka_unit_test(one_campaign_takes_as_long_as_by_hand),
        cmocka_unit_test(a_campaign_of_pictures_takes_as_long_as_by_hand),
        cmocka_unit_test(a_pool_without_jobs_costs_nothing),
        cmocka_unit_test(a_night_starts_no_machine_for_pictures),
        cmocka_unit_test(interruptions_lose_no_picture),
        cmocka_unit_test(pictures_change_no_dub_of_a_month),
        cmocka_unit_test(the_same_seed_gives_the_same_result),
        cmocka_unit_test(interruptions_lose_no_job),
        cmocka_unit_test(batch_waits_for_the_morning),
        cmocka_unit_test(a_full_queue_rests_from_23_to_7),
        cmocka_unit_test(a_large_campaign_does_not_starve_a_small_one),
        cmocka_unit_test(scenarios_are_checked),
        cmocka_unit_test(the_report_is_one_page_whose_text_cannot_end_its_script),
        cmocka_unit_test(the_report_draws_the_pools_that_have_jobs),
        cmocka_unit_test(the_report_has_both_timelines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
