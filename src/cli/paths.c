#include <libgen.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"

static char *absolute(const char *path) {
    _cleanup_free_ char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    return here ? xasprintf("%s/%s", here, path) : xstrdup(path);
}

char *cli_data_directory(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    const char *data = config ? config_get(config, "data") : NULL, *home = getenv("HOME");
    if (data)
        return absolute(data);
    if (config && home && home[0])
        return xasprintf("%s/.local/share/mela", home);
    if (config)
        error_set(err, ERR_USAGE, "HOME is not set; say where the farm's data is with --data");
    return NULL;
}

char *cli_models_directory(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    if (!config)
        return NULL;
    if (config_get(config, "models"))
        return absolute(config_get(config, "models"));
    _cleanup_free_ char *data = cli_data_directory(cli, err);
    return data ? xasprintf("%s/models", data) : NULL;
}

/* The folder of the running program; the result lies in `out`. */
static char *own_directory(char out[4096]) {
    ssize_t length = readlink("/proc/self/exe", out, 4095);
    out[MAX(length, 0)] = '\0';
    return dirname(out);
}

char *cli_manifests_directory(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    if (!config)
        return NULL;
    if (config_get(config, "manifests"))
        return absolute(config_get(config, "manifests"));
    char self[4096];
    _cleanup_free_ char *installed = xasprintf("%s/../share/mela/models", own_directory(self));
    return access(installed, R_OK) == 0 ? steal(installed) : xstrdup(MELA_SOURCE_MODELS);
}

char *cli_sibling_program(const char *name, const char *variable) {
    char self[4096];
    const char *named = getenv(variable);
    return named && named[0] ? xstrdup(named) : xasprintf("%s/%s", own_directory(self), name);
}
