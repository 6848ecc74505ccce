#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/farm.h"
#include "cli/terminal.h"
#include "queue/check.h"

static void print_check(const json_t *result) {
    const json_t *findings = json_object_get(result, "findings"), *finding;
    size_t i;
    json_array_foreach (findings, i, finding)
        printf("%-8s %s: %s\n", json_get_bool(finding, "repaired", false) ? "repaired" : "found",
               json_get_string(finding, "where", ""), json_get_string(finding, "what", ""));
    printf("%lld keys, %lld campaigns, %lld jobs: %zu findings\n", (long long)json_get_integer(result, "keys", 0),
           (long long)json_get_integer(result, "campaigns", 0), (long long)json_get_integer(result, "jobs", 0),
           json_array_size(findings));
}

static void print_stats(const json_t *stats) {
    _cleanup_buffer_ struct buffer memory = {0};
    terminal_bytes(&memory, json_get_integer(stats, "memory_bytes", 0));
    printf("%-10s %-7s %9s %9s %9s\n", "pool", "class", "ready", "leased", "delayed");
    const char *pool, *class;
    json_t *classes, *counts;
    json_object_foreach (json_object_get(stats, "pools"), pool, classes)
        json_object_foreach (classes, class, counts)
            printf("%-10s %-7s %9lld %9lld %9lld\n", pool, class, (long long)json_get_integer(counts, "ready", 0),
                   (long long)json_get_integer(counts, "leased", 0), (long long)json_get_integer(counts, "delayed", 0));
    printf("\n%lld campaigns, %lld of them finished; %lld dead jobs; %lld workers; Redis uses %s\n",
           (long long)json_get_integer(stats, "campaigns", 0), (long long)json_get_integer(stats, "finished", 0),
           (long long)json_get_integer(stats, "dead", 0), (long long)json_get_integer(stats, "workers", 0),
           memory.data);
}

static bool run(struct cli *cli, struct error *err) {
    bool check = strcmp(cli_argument(cli, 0), "check") == 0, repair = cli_flag(cli, "repair");
    if (!check && strcmp(cli_argument(cli, 0), "stats") != 0)
        return error_set(err, ERR_USAGE, "mela queue takes check or stats, not \"%s\"", cli_argument(cli, 0));
    _cleanup_queue_ struct queue *queue = farm_open_queue(cli, err);
    _cleanup_json_ json_t *result = !queue ? NULL : check ? queue_check(queue, repair, err) : queue_stats(queue, err);
    if (!result)
        return false;
    if (check && !repair && json_array_size(json_object_get(result, "findings")) > 0)
        cli_set_status(cli, STATUS_FAILED);
    if (cli_json(cli))
        cli_print_json(result);
    else if (check)
        print_check(result);
    else
        print_stats(result);
    return true;
}

const struct command command_queue = {
    .name = "queue",
    .arguments = "check|stats",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "audit the queue in Redis, or show its sizes",
    .help =
        "check looks at every key of the farm in Redis: records that belong to nothing, jobs that nothing would ever "
        "run, sums that are wrong. It may run while the farm works. Exit status 1 when it found something.\n\n"
        "Examples:\n  mela queue check\n  mela queue check --repair\n  mela queue stats --json\n",
    .options = (const struct cli_option[]){{"repair", NULL, "put right what is found"}, FARM_OPTIONS, {0}},
    .run = run,
};
