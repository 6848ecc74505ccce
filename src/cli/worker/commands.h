/* The commands of mela-worker. */
#pragma once

#include "cli/cli.h"
#include "stage/stage.h"

extern const struct command command_run, command_check, command_bench_dub, command_check_sync, command_models_list,
    command_models_check, command_models_add, command_models_pull, command_models_push, command_health,
    command_worker_version;

/* What the flags say about models and the device they run on. */
struct model_flags {
    struct models_options options; /* its strings are the ones below */
    char *directory, *manifests, *graphs;
};
/* Reads --device, --threads, --models and --manifests. */
bool model_flags_read(struct cli *cli, struct model_flags *flags, struct error *err) must_check;
void model_flags_free(struct model_flags *flags);
#define _cleanup_model_flags_ _cleanup_(model_flags_free)
