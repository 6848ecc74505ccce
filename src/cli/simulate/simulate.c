#include "simulate/simulate.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/simulate/options.h"

enum { SCENARIO_MAX = 256 << 20 };

static struct scenario *read_scenario(struct cli *cli, const char *path, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, SCENARIO_MAX, &text, err))
        return NULL;
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, err), *problems = json_array();
    struct scenario *scenario = json ? scenario_read(json, problems) : NULL;
    if (!json) {
        error_wrap(err, "scenario %s", path);
    } else if (!scenario) {
        const json_t *first = json_array_get(problems, 0);
        cli_set_details(cli, problems);
        error_set(err, ERR_SPEC_INVALID, "scenario %s has %zu problems; the first: %s %s", path,
                  json_array_size(problems), json_get_string(first, "path", ""), json_get_string(first, "message", ""));
    }
    return scenario;
}

static double busy_percent(const struct simulation *simulation, enum pool pool) {
    double paid = simulation->paid_s[pool];
    return paid > 0 ? 100 * simulation->busy_s[pool] / paid : 0;
}

static void print_table(const struct simulation *simulations, size_t count) {
    printf("%-12s %10s %10s %6s %10s %6s %10s %10s %10s %10s %6s %6s\n", "policy", "cost USD", "lipsync h", "busy %",
           "image h", "busy %", "urgent p95", "batch p95", "urgent end", "batch end", "late", "spot");
    for (size_t i = 0; i < count; i++) {
        const struct simulation *s = &simulations[i];
        printf("%-12s %10.2f %10.1f %6.0f %10.1f %6.0f %8.0f s %8.0f s %8.0f s %8.0f s %6zu %6zu\n",
               sim_policy_name(s->policy), simulation_cost(s), s->paid_s[POOL_LIPSYNC] / 3600,
               busy_percent(s, POOL_LIPSYNC), s->paid_s[POOL_IMAGE] / 3600, busy_percent(s, POOL_IMAGE),
               s->wait[CLASS_URGENT].p95, s->wait[CLASS_BATCH].p95, s->makespan[CLASS_URGENT].p95,
               s->makespan[CLASS_BATCH].p95, s->missed, s->interruptions);
    }
}

static void print_json(const struct scenario *scenario, const struct simulation *simulations, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, simulation_to_json(&simulations[i]));
    _cleanup_json_ json_t *all =
        json_pack("{s:s,s:I,s:f,s:I,s:o}", "scenario", scenario->name, "seed", (json_int_t)scenario->seed, "days",
                  scenario->days, "campaigns", (json_int_t)scenario->campaign_count, "policies", list);
    cli_print_json(all);
}

static bool simulate_run(struct cli *cli, struct error *err) {
    _cleanup_scenario_ struct scenario *scenario = read_scenario(cli, cli_argument(cli, 0), err);
    if (!scenario)
        return false;
    size_t count = cli_flag(cli, "compare") ? SIM_POLICY_COUNT : 1;
    _cleanup_free_ struct simulation *simulations = xnew_array(struct simulation, count);
    for (size_t i = 0; i < count; i++)
        simulate(scenario, (enum sim_policy)i, &simulations[i]);
    const char *page = cli_value(cli, "html");
    _cleanup_free_ char *html = page ? simulation_to_html(scenario, simulations, count) : NULL;
    if (page && !file_write_atomic(page, html, strlen(html), 0644, err))
        return false;
    if (cli_json(cli))
        print_json(scenario, simulations, count);
    else
        print_table(simulations, count);
    return true;
}

extern const struct command command_simulate;
const struct command command_simulate = {
    .name = "simulate",
    .arguments = "SCENARIO.json",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = SIMULATE_SUMMARY,
    .help = "Runs the scaling rule, the calendar and the queue's order of this program against campaigns that arrive, "
            "machines that boot and vanish, and prices; docs/scaling.md describes the file. p95: 95 % of the jobs "
            "began within that time, or campaigns were done. The same file gives the same numbers.\n\n"
            "Examples:\n  mela simulate bench/scenarios/festival-month.json --compare --html report.html\n"
            "  mela simulate month.json --json\n",
    .options = simulate_options,
    .run = simulate_run,
};
