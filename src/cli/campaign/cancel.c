#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"

static bool cancel_run(struct cli *cli, struct error *err) {
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), false), *path = xasprintf("/v1/campaigns/%s", id);
    _cleanup_client_ struct client *client = client_open(cli, err);
    _cleanup_json_ json_t *answer = client ? client_request(client, "DELETE", path, NULL, NULL, err) : NULL;
    if (answer && cli_json(cli))
        cli_print_json(answer);
    else if (answer)
        printf("%s is cancelled\n", cli_argument(cli, 0));
    return answer != NULL;
}

const struct command command_cancel = {
    .name = "cancel",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "end a campaign before it is done",
    .help = "Jobs that run are stopped. Videos that are done stay, and can be fetched.\n\n"
            "Example:\n  mela cancel diwali-2026-3f9a1c0b2d\n",
    .run = cancel_run,
};
