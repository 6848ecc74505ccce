#include "base/clock.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"

enum { LIST_DEFAULT = 50 };

/* "running 12/40 jobs" needs only sums. */
static int64_t jobs_in(const json_t *campaign, const char *state) {
    return json_get_integer(json_object_get(campaign, "jobs"), state, 0);
}

static int64_t jobs_in_all(const json_t *campaign) {
    int64_t sum = 0;
    const char *state;
    json_t *count;
    json_object_foreach (json_object_get(campaign, "jobs"), state, count)
        sum += json_integer_value(count);
    return sum;
}

static bool run(struct cli *cli, struct error *err) {
    int64_t limit;
    _cleanup_client_ struct client *client =
        cli_integer(cli, "limit", LIST_DEFAULT, 1, 100000, &limit, err) ? client_open(cli, err) : NULL;
    _cleanup_json_ json_t *campaigns = client ? client_get_list(client, "/v1/campaigns", (size_t)limit, err) : NULL;
    if (!campaigns)
        return false;
    if (cli_json(cli)) {
        cli_print_json(campaigns);
        return true;
    }
    size_t i;
    json_t *campaign;
    if (json_array_size(campaigns) == 0)
        printf("no campaigns yet; mela submit --help shows how to make one\n");
    json_array_foreach (campaigns, i, campaign) {
        char submitted[32];
        clock_format_iso(json_get_integer(campaign, "submitted_ms", 0), submitted);
        _cleanup_buffer_ struct buffer held = {0};
        int64_t held_until_ms = json_get_integer(campaign, "held_until_ms", 0);
        if (held_until_ms)
            terminal_held(&held, held_until_ms);
        printf("%.16sZ  %-9s  %-6s  %4lld/%-4lld jobs  %s%s%s\n", submitted, json_get_string(campaign, "state", ""),
               json_get_string(campaign, "class", ""), (long long)jobs_in(campaign, "done"),
               (long long)jobs_in_all(campaign), json_get_string(campaign, "id", ""), held.length ? "  " : "",
               held.length ? held.data : "");
    }
    return true;
}

const struct command command_list = {
    .name = "list",
    .summary = "list campaigns, the newest first",
    .help =
        "Time of submission, state, class, jobs done of those known so far, id; and until when its jobs are held, if "
        "they are.\n\n"
        "Example:\n  mela list --limit 10\n",
    .options = (const struct cli_option[]){{"limit", "N", "at most so many, default 50"}, {0}},
    .run = run,
};
