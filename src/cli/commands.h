/* The commands of mela, and those that mela-worker shares with it (health, completion). */
#pragma once

#include "cli/cli.h"

extern const struct command command_up, command_serve, command_submit, command_imagine, command_watch, command_list,
    command_show, command_get, command_health, command_cancel, command_retry, command_dead, command_trace,
    command_models, command_doctor, command_recover, command_queue, command_keys_add, command_keys_revoke,
    command_config, command_version, command_completion, command_scale_desired, command_scale_hold,
    command_scale_resume, command_simulate, command_workers;
