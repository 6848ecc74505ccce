/* check fence: how much of the fence around executors can this machine hold? */
#include "cli/worker/commands.h"
#include "executor/fence.h"

static bool check_fence_run(struct cli *cli, struct error *err) {
    struct fence_report held;
    fence_probe(&held);
    _cleanup_json_ json_t *json = fence_report_json(&held);
    _cleanup_free_ char *text = fence_describe(&held);
    if (cli_json(cli))
        cli_print_json(json);
    else
        printf("%s\n", text);
    return true;
}

const struct command command_check_fence = {
    .name = "check fence",
    .summary = "what can this machine keep from whoever takes over a decoder?",
    .help =
        "Before a process opens a user's file it gives up what decoding does not need. Says which parts of that the "
        "kernel, and a sandbox around this process, can hold. What is missing is no failure: exit status 0.\n\n"
        "Example:\n  mela-worker check fence --json",
    .run = check_fence_run,
};
