/* The rules and calendars of farm.json, for the commands that scale. */
#pragma once

#include "cli/cli.h"
#include "scale/policy.h"

/* Reads "pools" of farm.json. `quiet_by_default`: a pool without a calendar has the default quiet hours. Caller frees.
 * NULL with config.invalid, and all problems as details. */
struct scale_policies *cli_policies(struct cli *cli, bool quiet_by_default, struct error *err) must_check;
