/* What mela, for its list of commands and for completion, and mela-simulate say alike about the command. */
#pragma once

#include "cli/cli.h"

#define SIMULATE_SUMMARY "play a month of campaigns and see what it costs and how long it takes"

static const struct cli_option simulate_options[] = {
    {"compare", NULL, "play other policies too: KEDA's linear one, HPA on CPU, always on, by deadline"},
    {"html", "FILE", "write a report with charts"},
    {0},
};
