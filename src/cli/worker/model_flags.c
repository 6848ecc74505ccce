#include "cli/worker/model_flags.h"

#include "base/memory.h"

bool model_flags_read(struct cli *cli, struct model_flags *flags, struct error *err) {
    const struct config *config = cli_config(cli, err);
    int64_t threads;
    if (!config || !cli_integer(cli, "threads", 0, 1, 1024, &threads, err) ||
        !device_parse(config_get(config, "device"), &flags->options.device, err) ||
        !(flags->directory = cli_models_directory(cli, err)) || !(flags->manifests = cli_manifests_directory(cli, err)))
        return false;
    flags->graphs = xasprintf("%s/.optimized", flags->directory);
    flags->options.device.threads = (int)threads;
    flags->options.directory = flags->directory;
    flags->options.manifests = flags->manifests;
    flags->options.cache_directory = flags->graphs;
    flags->options.detector = cli_value(cli, "detector");
    flags->options.enhancer = cli_value(cli, "enhancer");
    return true;
}

void model_flags_free(struct model_flags *flags) {
    free(flags->directory);
    free(flags->manifests);
    free(flags->graphs);
}
