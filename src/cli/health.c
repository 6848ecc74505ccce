/* health: asks a server whether it is well. For containers, which hold no curl. */
#include "cli/commands.h"
#include "store/http.h"

enum { ANSWER_MS = 4000 };

static bool health_run(struct cli *cli, struct error *err) {
    const char *url = cli_argument(cli, 0);
    _cleanup_http_ struct http *http = http_new(&http_policy_default);
    _cleanup_http_response_ struct http_response response = {0};
    struct http_request request = {.method = "GET", .url = url, .total_ms = ANSWER_MS, .direct = true};
    struct error why;
    if (!http_try(http, &request, &response, &why))
        return error_set(err, ERR_API_UNREACHABLE, "%s", why.message);
    if (response.status != 200)
        return error_set(err, ERR_API_UNREACHABLE, "%s answers with status %d", url, response.status);
    if (cli_json(cli))
        puts("{\"healthy\": true}");
    return true;
}

const struct command command_health = {
    .name = "health",
    .arguments = "URL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "ask a server whether it is well; for containers without curl",
    .help = "Exit status 0 when it answers with 200 within four seconds, 3 otherwise.\n\n"
            "Example:\n  mela health http://127.0.0.1:7420/readyz\n",
    .run = health_run,
};
