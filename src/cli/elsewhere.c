/* Commands of mela that another of its programs carries out, because mela does not link what they need. */
#include <errno.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/simulate/options.h"

/* Becomes `PROGRAM COMMAND ARGUMENT...`; without arguments it shows the help. The program is told by argv[0] that the
 * user typed mela, so that its help and its errors say mela too. */
static bool elsewhere_become(const struct cli *cli, const char *variable, struct error *err) {
    static const char name[] = "mela", help[] = "--help";
    const struct command *command = cli_command(cli);
    _cleanup_free_ char *program = cli_sibling_program(command->handed_to, variable);
    int count = cli_argument_count(cli);
    _cleanup_free_ const char **argv = xcalloc((size_t)count + 4, sizeof *argv);
    argv[0] = name;
    argv[1] = command->name;
    if (count == 0)
        argv[2] = help;
    for (int i = 0; i < count; i++)
        argv[i + 2] = cli_argument(cli, i);
    execv(program, (char *const *)(uintptr_t)argv);
    return error_set_errno(err, ERR_CHILD_FAILED, errno, "mela %s needs the program %s, which cannot be started",
                           command->name, program);
}

/* Only mela-worker links the runtime that can look inside a model. */
static bool models_hand_over(struct cli *cli, struct error *err) { return elsewhere_become(cli, "MELA_WORKER", err); }

static bool simulate_hand_over(struct cli *cli, struct error *err) {
    return elsewhere_become(cli, "MELA_SIMULATE", err);
}

const struct command command_models = {
    .name = "models",
    .summary = "list, check, add, pull or push models",
    .handed_to = "mela-worker",
    .run = models_hand_over,
};

const struct command command_simulate = {
    .name = "simulate",
    .summary = SIMULATE_SUMMARY,
    .options = simulate_options,
    .handed_to = "mela-simulate",
    .run = simulate_hand_over,
};
