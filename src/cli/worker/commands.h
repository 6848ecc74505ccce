/* The commands of mela-worker. */
#pragma once

#include "cli/cli.h"
#include "stage/stage.h"

extern const struct command command_run, command_bench_dub, command_check_sync, command_models_list,
    command_models_check, command_models_add, command_models_pull, command_models_push, command_worker_version;

/* Reads --device, --threads, --models and --manifests; *graphs owns the folder of optimised graphs. */
bool read_models_options(struct cli *cli, struct models_options *options, char **graphs,
                         struct error *err) must_check;
