#include <errno.h>

#include "base/memory.h"
#include "cli/commands.h"

/* Models are the data plane's business: only mela-worker links the runtime that can look inside one. */
static bool run(struct cli *cli, struct error *err) {
    _cleanup_free_ char *program = cli_sibling_program("mela-worker", "MELA_WORKER");
    int count = cli_argument_count(cli);
    _cleanup_free_ const char **argv = xcalloc((size_t)count + 4, sizeof *argv);
    argv[0] = program;
    argv[1] = "models";
    if (count == 0)
        argv[2] = "--help";
    for (int i = 0; i < count; i++)
        argv[i + 2] = cli_argument(cli, i);
    execv(program, (char *const *)(uintptr_t)argv);
    return error_set_errno(err, ERR_CHILD_FAILED, errno, "cannot start %s, which keeps the models", program);
}

const struct command command_models = {
    .name = "models",
    .summary = "list, check, add or pull models",
    .raw = true,
    .run = run,
};
