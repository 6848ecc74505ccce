/* The options that choose models and the device that they run on, which several commands have. */
#pragma once

#include "cli/cli.h"
#include "dub/models.h"

struct model_flags {
    struct models_options options; /* its strings are the ones below */
    char *directory, *manifests, *graphs;
};
/* Reads --device, --threads, --models, --manifests, --detector and --enhancer, or the settings of these names. On
 * failure too *flags holds what model_flags_free frees. False with usage or config.invalid. */
bool model_flags_read(struct cli *cli, struct model_flags *flags, struct error *err) must_check;
void model_flags_free(struct model_flags *flags);
#define _cleanup_model_flags_ _cleanup_(model_flags_free)
