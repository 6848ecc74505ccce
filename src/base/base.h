/* base: the ground floor. Errors, cleanup, memory, buffers, JSON, logs, clocks, threads, rings, files, digests,
 * child processes.
 *
 * What every other room stands on, and nothing that knows what a farm is. It promises: out of memory aborts,
 * so no caller checks for it; every fallible function says what went wrong in a struct error; everything that
 * owns something ships a cleanup attribute. Only process.h changes state of the whole process. */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/memory.h"
