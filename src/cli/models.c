#include <errno.h>
#include <libgen.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"

char *sibling_program(const char *name, const char *variable) {
    char self[4096];
    const char *named = getenv(variable);
    if (named && named[0])
        return xstrdup(named);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[MAX(length, 0)] = '\0';
    return xasprintf("%s/%s", dirname(self), name);
}

/* Models are the data plane's business: only mela-worker links the runtime that can look inside one. */
static bool run(struct cli *cli, struct error *err) {
    _cleanup_free_ char *program = sibling_program("mela-worker", "MELA_WORKER");
    int count = cli_argument_count(cli);
    _cleanup_free_ const char **argv = xcalloc((size_t)count + 3, sizeof *argv);
    argv[0] = program;
    argv[1] = "models";
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
