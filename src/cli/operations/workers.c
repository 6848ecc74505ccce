#include "base/clock.h"
#include "cli/client.h"
#include "cli/commands.h"

/* Strings of an array as "cpu,lipsync". */
static void workers_join(struct buffer *out, const json_t *words) {
    size_t i;
    json_t *word;
    json_array_foreach (words, i, word)
        if (json_is_string(word))
            buffer_appendf(out, "%s%s", out->length ? "," : "", json_string_value(word));
}

/* One that tries a job to see whether it is well is busy, and ill still. */
static void worker_print(const json_t *worker) {
    _cleanup_buffer_ struct buffer pools = {0};
    workers_join(&pools, json_object_get(worker, "pools"));
    printf("%-8s  %-4s  %-11s  %zu jobs  %s\n", json_get_string(worker, "state", ""),
           json_get_string(worker, "device", ""), pools.length ? pools.data : "",
           json_array_size(json_object_get(worker, "jobs")), json_get_string(worker, "id", ""));
    const json_t *ill = json_object_get(worker, "ill");
    if (!json_is_object(ill))
        return;
    char since[32];
    clock_format_iso(json_get_integer(ill, "since_ms", 0), since);
    printf("  ill since %.16sZ: %s [%s]\n", since, json_get_string(ill, "message", ""),
           json_get_string(ill, "code", ""));
}

static bool workers_run(struct cli *cli, struct error *err) {
    _cleanup_client_ struct client *client = client_open(cli, err);
    _cleanup_json_ json_t *answer = client ? client_get(client, "/v1/workers", err) : NULL;
    const json_t *workers = json_object_get(answer, "items");
    if (!answer)
        return false;
    if (cli_json(cli)) {
        cli_print_json(workers);
        return true;
    }
    size_t i;
    json_t *worker;
    if (json_array_size(workers) == 0)
        printf("no workers live; they come when there are jobs\n");
    json_array_foreach (workers, i, worker)
        worker_print(worker);
    return true;
}

const struct command command_workers = {
    .name = "workers",
    .summary = "list the workers that live, and why one is ill",
    .help =
        "Columns: state, device, pools, jobs that it has, id. A worker is ill when its own fault failed three jobs in "
        "a row: it claims nothing but a job now and then, to see whether it is well. The line below it says since "
        "when, with the last error and its code.\n\n"
        "Example:\n  mela workers\n",
    .run = workers_run,
};
