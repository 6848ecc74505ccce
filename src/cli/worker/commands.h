/* The commands of mela-worker. */
#pragma once

#include "cli/cli.h"
#include "cli/worker/model_flags.h"

extern const struct command command_run, command_check, command_check_sync, command_check_fence, command_models_list,
    command_models_check, command_models_add, command_models_pull, command_models_push, command_health,
    command_worker_version, command_completion;
