#include "cli/cli.h"
#include "cli/commands.h"

static bool version_run(struct cli *cli, struct error *err) {
    const char *name = cli_program(cli)->name;
    if (cli_json(cli)) {
        _cleanup_json_ json_t *version = json_pack("{s:s,s:s}", "program", name, "version", MELA_VERSION);
        cli_print_json(version);
    } else {
        printf("%s %s\n", name, MELA_VERSION);
    }
    return true;
}

const struct command command_version = {
    .name = "version",
    .summary = "print the version",
    .help = "Example:\n  mela version --json\n",
    .run = version_run,
};
