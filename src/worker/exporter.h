/* What a worker says of itself over HTTP: /metrics, /healthz and /readyz, for Prometheus and for Kubernetes' probes,
 * which have no key. One thread; GET and HEAD only; no body is read; every connection answers one request and is
 * closed. Private to this room. */
#pragma once

#include "worker/slot.h"

struct exporter;

/* Listens; the port is logged. The worker's store is open, and stays so until the exporter stops. */
struct exporter *exporter_start(const char *address, struct worker *worker, struct error *err) must_check;
void exporter_stop(struct exporter *exporter);
DEFINE_CLEANUP(struct exporter *, exporter_stop)
