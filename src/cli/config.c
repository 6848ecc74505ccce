#include "cli/cli.h"
#include "cli/commands.h"

static bool run(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    if (!config)
        return false;
    _cleanup_json_ json_t *settings = config_describe(config);
    if (cli_json(cli)) {
        cli_print_json(settings);
        return true;
    }
    size_t i;
    json_t *setting;
    json_array_foreach (settings, i, setting)
        printf("%-12s %-28s %-14s %s\n", json_get_string(setting, "name", ""), json_get_string(setting, "value", "-"),
               json_get_string(setting, "source", ""), json_get_string(setting, "help", ""));
    return true;
}

const struct command command_config = {
    .name = "config",
    .summary = "print every setting and where its value comes from",
    .help = "A flag of the same name wins over the environment (MELA_<NAME>), that over farm.json, that over the "
            "default. Secrets are not shown.\n\nExample:\n  MELA_WORKERS=4 mela config\n",
    .run = run,
};
