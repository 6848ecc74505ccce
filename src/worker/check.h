/* Whether this machine can do a worker's jobs, for an init container that runs before the worker: driver, card, memory,
 * the card's own record of errors, and a real inference whose result is compared with the CPU's. */
#pragma once

#include "base/json.h"
#include "model/session.h"
#include "worker/nvml.h"

struct check_options {
    const char *manifests, *models; /* where face-mesh is, the network that is run */
    struct device device;           /* see check_device; it may turn out not to work */
    int64_t memory_mb;              /* least free memory of the device */
};

/* {"healthy","device","driver","name","uuid","memory_total_mb","memory_free_mb","temperature","ecc_uncorrected",...,
 * "fence": as fence_report_json has it,"checks":[{"name","ok","message"}...]}; null where the driver does not say. New
 * reference. What is not the machine's fault, such as a missing model, is an error: model.not_found,
 * model.hash_mismatch ... */
json_t *check_machine(const struct check_options *options, struct error *err) must_check;
/* The device that a worker here ought to have: what `text` says, and for "auto" a card wherever one is promised (by a
 * device file or NVIDIA_VISIBLE_DEVICES), so that a broken driver does not pass for a machine without card. */
bool check_device(const char *text, struct device *out, struct error *err) must_check;

/* The verdicts alone: true is healthy, *message says why or why not and is the caller's. */

/* `left` is free memory in bytes, or NVML_UNKNOWN, which passes. */
bool check_judge_memory(int64_t left, int64_t least_mb, char **message);
/* Fails a card with uncorrected errors, or without spare memory rows. An error that was corrected, or a reset that is
 * due, costs no result and passes. */
bool check_judge_record(const struct nvml_state *state, char **message);
/* Fails a result that is further than 2 % of the largest value from the right one, or that is no number: reduced
 * precision on a card stays well below that. */
bool check_judge_result(const float *result, const float *right, size_t count, char **message);
