/* The settings of the pools, for commands. */
#pragma once

#include "cli/cli.h"
#include "scale/policy.h"

/* What farm.json says about the pools; config.invalid, with all problems as details. Caller frees. */
struct scale_policies *cli_policies(struct cli *cli, bool quiet_by_default, struct error *err) must_check;
