#include "base/clock.h"
#include "cli/client.h"
#include "cli/commands.h"

enum { LIST_DEFAULT = 50 };

static void dead_print_job(const json_t *job) {
    const json_t *error = json_object_get(job, "error");
    char time[32];
    clock_format_iso(json_get_integer(job, "finished_ms", 0), time);
    printf("%.16sZ  %s  (%lld attempts, %lld errors, %lld refusals, %lld crashes)\n    %s [%s]\n", time,
           json_get_string(job, "id", ""), (long long)json_get_integer(job, "attempt", 0),
           (long long)json_get_integer(job, "errors", 0), (long long)json_get_integer(job, "refusals", 0),
           (long long)json_get_integer(job, "crashes", 0), json_get_string(error, "message", "no reason is known"),
           json_get_string(error, "code", "internal"));
}

static bool dead_run(struct cli *cli, struct error *err) {
    int64_t limit;
    _cleanup_client_ struct client *client =
        cli_integer(cli, "limit", LIST_DEFAULT, 1, 100000, &limit, err) ? client_open(cli, err) : NULL;
    _cleanup_json_ json_t *jobs = client ? client_get_list(client, "/v1/dead", (size_t)limit, err) : NULL;
    size_t i;
    json_t *job;
    if (jobs && cli_json(cli)) {
        cli_print_json(jobs);
        return true;
    }
    json_array_foreach (jobs, i, job)
        dead_print_job(job);
    return jobs != NULL;
}

const struct command command_dead = {
    .name = "dead",
    .summary = "list jobs that were given up, and why",
    .help = "Remove the cause, then revive the job with mela retry JOB.\n\nExample:\n  mela dead\n",
    .options = (const struct cli_option[]){{"limit", "N", "at most so many, default 50"}, {0}},
    .run = dead_run,
};
