/* The commands of mela. */
#pragma once

#include "cli/cli.h"

extern const struct command command_up, command_serve, command_submit, command_watch, command_list, command_show,
    command_get, command_cancel, command_retry, command_dead, command_trace, command_models, command_doctor,
    command_config, command_version, command_completion, command_bench_queue;
