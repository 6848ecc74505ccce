/* Commands that another of mela's programs carries out: what it links, mela does not. */
#include <errno.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/simulate/options.h"

/* Becomes `PROGRAM COMMAND ARGUMENT...`; without arguments it shows the help. */
static bool elsewhere_become(const struct cli *cli, const char *name, const char *variable, const char *command,
                             struct error *err) {
    _cleanup_free_ char *program = cli_sibling_program(name, variable);
    int count = cli_argument_count(cli);
    _cleanup_free_ const char **argv = xcalloc((size_t)count + 4, sizeof *argv);
    argv[0] = program;
    argv[1] = command;
    if (count == 0)
        argv[2] = "--help";
    for (int i = 0; i < count; i++)
        argv[i + 2] = cli_argument(cli, i);
    execv(program, (char *const *)(uintptr_t)argv);
    return error_set_errno(err, ERR_CHILD_FAILED, errno, "cannot start %s, which does this; is it installed?", program);
}

/* Only mela-worker links the runtime that can look inside a model. */
static bool models_hand_over(struct cli *cli, struct error *err) {
    return elsewhere_become(cli, "mela-worker", "MELA_WORKER", "models", err);
}

static bool simulate_hand_over(struct cli *cli, struct error *err) {
    return elsewhere_become(cli, "mela-simulate", "MELA_SIMULATE", "simulate", err);
}

const struct command command_models = {
    .name = "models",
    .summary = "list, check, add or pull models",
    .raw = true,
    .run = models_hand_over,
};

const struct command command_simulate = {
    .name = "simulate",
    .summary = SIMULATE_SUMMARY,
    .options = simulate_options, /* for completion */
    .raw = true,
    .run = simulate_hand_over,
};
