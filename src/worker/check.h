/* Can this machine do a worker's jobs? What an init container asks before the worker starts: driver, card, memory, the
 * card's own record of errors, and a real inference whose result is compared with the CPU's. */
#pragma once

#include "base/json.h"
#include "model/session.h"

struct check_options {
    const char *manifests, *models; /* where face-mesh is, the network that is run */
    struct device device;           /* not looked at yet: it may not work */
    int64_t memory_mb;              /* least free memory of the device */
};

/* {"healthy","device","driver","name","uuid","memory_total_mb","memory_free_mb","temperature","ecc_uncorrected",...,
 * "checks":[{"name","ok","message"}...]}; null where the driver does not say. New reference. What is not
 * the machine's fault, such as a missing model, is an error: model.not_found, model.hash_mismatch ... */
json_t *check_machine(const struct check_options *options, struct error *err) must_check;
/* The device that a worker here ought to have: what `text` says, and for "auto" a card wherever one is promised (by a
 * device file or NVIDIA_VISIBLE_DEVICES), so that a broken driver does not pass for a machine without card. */
bool check_device(const char *text, struct device *out, struct error *err) must_check;
