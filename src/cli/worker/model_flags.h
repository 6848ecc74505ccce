/* What a command of mela-worker is told about models and the device they run on. */
#pragma once

#include "cli/cli.h"
#include "dub/models.h"

struct model_flags {
    struct models_options options; /* its strings are the ones below */
    char *directory, *manifests, *graphs;
};
/* Reads --device, --threads, --models and --manifests. */
bool model_flags_read(struct cli *cli, struct model_flags *flags, struct error *err) must_check;
void model_flags_free(struct model_flags *flags);
#define _cleanup_model_flags_ _cleanup_(model_flags_free)
