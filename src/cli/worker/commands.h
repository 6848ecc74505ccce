/* The commands of mela-worker. */
#pragma once

#include "cli/cli.h"
#include "cli/worker/model_flags.h"

/* "cpu,lipsync" into pools; the caller's array holds POOL_COUNT. usage. */
bool pools_parse(const char *text, enum pool *pools, size_t *count, struct error *err) must_check;

extern const struct command command_run, command_executor, command_check, command_check_sync, command_check_fence,
    command_models_list, command_models_check, command_models_add, command_models_pull, command_models_push,
    command_health, command_worker_version, command_completion;
