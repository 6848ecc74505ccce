/* What a worker says of itself over HTTP: /metrics, /healthz and /readyz, for Prometheus and for Kubernetes' probes,
 * which have no key. One thread; GET and HEAD only; no body is read; every connection answers one request and is
 * closed. Private to this room. */
#pragma once

#include "store/store.h"
#include "worker/vitals.h"

struct exporter_options {
    const char *address; /* "0.0.0.0:7422"; port 0 takes a free one */
    const char *worker;  /* the worker's id, for the log */
    const struct vitals *vitals;
    const char *const *devices; /* "cuda:1": the card is asked of NVML at each scrape */
    size_t device_count;
    struct store *store; /* whose metrics are shown */
};

struct exporter;

/* Starts to listen and logs the port. All that the options point to stays until exporter_stop, the strings aside.
 * config.invalid. */
struct exporter *exporter_start(const struct exporter_options *options, struct error *err) must_check;
/* No request is served after it returns. */
void exporter_stop(struct exporter *exporter);
DEFINE_CLEANUP(struct exporter *, exporter_stop)
