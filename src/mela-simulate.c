/* mela-simulate: plays a month of campaigns in seconds. Users type `mela simulate`. */
#include "base/process.h"
#include "cli/cli.h"

extern const struct command command_simulate;

static const struct command *const commands[] = {&command_simulate, NULL};
static const struct cli_option common[] = {{0}};

int main(int argc, char **argv) {
    process_begin();
    const struct program simulate = {"mela-simulate", "plays a month of campaigns in seconds", commands, common};
    return cli_main(&simulate, argc, argv);
}
