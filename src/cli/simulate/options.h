/* What mela and mela-simulate both need to know of the command: mela lists it and completes its options, mela-simulate
 * carries it out. */
#pragma once

#include "cli/cli.h"

#define SIMULATE_SUMMARY "play a month of campaigns and see what it costs and how long it takes"

static const struct cli_option simulate_options[] = {
    {"compare", NULL, "play other policies too: KEDA's linear one, HPA on CPU, always on, by deadline"},
    {"html", "FILE", "write a report with charts"},
    {0},
};
