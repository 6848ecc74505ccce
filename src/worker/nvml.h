/* What NVIDIA's management library says of a card. Loaded when needed (libnvidia-ml.so.1), with types of our own, since
 * the build needs no NVIDIA header; a function that the installed driver lacks leaves its value unknown.
 * https://docs.nvidia.com/deploy/nvml-api/ Private to this room. */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum { NVML_UNKNOWN = -1 };

struct nvml_state {
    char driver[80], name[96], uuid[96];    /* "" unknown */
    int64_t memory_total, memory_free;      /* bytes */
    int64_t ecc_uncorrected, ecc_corrected; /* errors since the driver was loaded */
    int64_t remap_failed;                   /* 1: the card has no spare memory rows left: it is to be replaced */
    int64_t remap_pending, retire_pending;  /* 1: the card needs a reset before bad memory is out of use */
    int64_t temperature;                    /* degrees Celsius */
    int64_t utilization;                    /* percent of the last moments in which the card computed */
    int64_t power_mw;                       /* milliwatts */
};

struct nvml;
/* Loads the library, finds the card and begins to listen for its critical errors (XID). model.device says why not. */
struct nvml *nvml_open(int index, struct error *err) must_check;
void nvml_close(struct nvml *nvml);
DEFINE_CLEANUP(struct nvml *, nvml_close)
#define _cleanup_nvml_ _cleanup_(nvml_close_cleanup)
void nvml_read(struct nvml *nvml, struct nvml_state *state);
/* The last critical error since nvml_open; 0: none, NVML_UNKNOWN: the driver cannot tell. */
int64_t nvml_last_xid(struct nvml *nvml);
