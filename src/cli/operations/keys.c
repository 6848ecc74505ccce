#include "base/memory.h"
#include "cli/commands.h"
#include "server/auth.h"

/* The file of the keys, borrowed; NULL with an error. */
static const char *keys_file(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    const char *file = config ? config_get(config, "keys") : NULL;
    if (config && !file)
        error_set(err, ERR_USAGE, "--keys FILE is missing: the file that mela serve reads its keys from");
    return file;
}

static bool keys_add_run(struct cli *cli, struct error *err) {
    const char *file = keys_file(cli, err), *role_text = cli_value(cli, "role");
    enum role role = ROLE_PRODUCER;
    if (!file)
        return false;
    if (role_text && !role_parse(role_text, &role))
        return error_set(err, ERR_USAGE, "--role is \"%s\", not viewer, producer or admin", role_text);
    _cleanup_free_ char *key = keys_create(file, cli_argument(cli, 0), role, err);
    if (!key)
        return false;
    if (!cli_json(cli)) {
        puts(key);
        return true;
    }
    _cleanup_json_ json_t *json =
        json_pack("{s:s,s:s,s:s}", "name", cli_argument(cli, 0), "role", role_name(role), "key", key);
    cli_print_json(json);
    return true;
}

const struct command command_keys_add = {
    .name = "keys add",
    .arguments = "NAME",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "make an API key",
    .help =
        "Makes a key, adds its SHA-256 to the file that mela serve reads, and prints the key, which is kept "
        "nowhere. A viewer reads; a producer submits and cancels too; an admin may do everything. It is good at once: "
        "mela serve reads the file again when it has changed.\n\n"
        "Examples:\n"
        "  mela keys add asha --role producer --keys /etc/mela/keys.json\n"
        "  MELA_KEYS=keys.json mela keys add dashboards --role viewer\n",
    .options = (const struct cli_option[]){{"keys", "FILE", "JSON file with the hashes of the API keys"},
                                           {"role", "ROLE", "viewer, producer (default) or admin"},
                                           {0}},
    .run = keys_add_run,
};

static bool keys_revoke_run(struct cli *cli, struct error *err) {
    const char *file = keys_file(cli, err), *name = cli_argument(cli, 0);
    int count;
    if (!file || !keys_revoke(file, name, &count, err))
        return false;
    if (!cli_json(cli)) {
        printf("revoked %d key%s of %s\n", count, count == 1 ? "" : "s", name);
        return true;
    }
    _cleanup_json_ json_t *json = json_pack("{s:s,s:i}", "name", name, "revoked", count);
    cli_print_json(json);
    return true;
}

const struct command command_keys_revoke = {
    .name = "keys revoke",
    .arguments = "NAME",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "revoke an API key",
    .help =
        "Takes all keys of a name out of the file that mela serve reads. They are refused from the next request on: "
        "mela serve reads the file again when it has changed. Where the file is a Kubernetes Secret, revoke the key in "
        "your copy and apply the Secret again; that takes about a minute.\n\n"
        "Example:\n"
        "  mela keys revoke asha --keys /etc/mela/keys.json\n",
    .options = (const struct cli_option[]){{"keys", "FILE", "JSON file with the hashes of the API keys"}, {0}},
    .run = keys_revoke_run,
};
