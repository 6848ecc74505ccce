/* The commands of mela-bench. */
#pragma once

#include "cli/cli.h"

extern const struct command command_bench_queue, command_bench_dub, command_bench_image, command_bench_picture;
