#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"

static bool retry_run(struct cli *cli, struct error *err) {
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), true), *path = xasprintf("/v1/jobs/%s/retry", id);
    _cleanup_client_ struct client *client = client_open(cli, err);
    _cleanup_json_ json_t *answer = client ? client_request(client, "POST", path, NULL, NULL, err) : NULL;
    if (answer && cli_json(cli))
        cli_print_json(answer);
    else if (answer)
        printf("%s is in the queue again\n", cli_argument(cli, 0));
    return answer != NULL;
}

const struct command command_retry = {
    .name = "retry",
    .arguments = "JOB",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "try a job again that was given up",
    .help = "The language or the campaign that ended with the job goes on too. mela dead lists such jobs, and why they "
            "were given up.\n\n"
            "Example:\n  mela retry diwali-2026-3f9a1c0b2d/hi/dub/0003\n",
    .run = retry_run,
};
