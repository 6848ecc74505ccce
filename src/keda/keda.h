/* keda: KEDA's external scaler: answers over gRPC whether a pool has work, and how many workers it should have.
 *
 * scale/demand.h watches the queue in one thread; a small gRPC server (grpc.h) answers in another from what that knows,
 * so no answer waits for Redis. It promises: while Redis is away the last answer stands, zero is never guessed; and no
 * peer can hold up the others. docs/keda.md says what to write into a ScaledObject. */
#pragma once

#include "scale/policy.h"

struct keda_options {
    const char *address;                   /* "0.0.0.0:7421" */
    const char *certificate, *key, *ca;    /* PEM files; NULL: plain text; with `ca` clients must show a certificate */
    const struct scale_policies *policies; /* borrowed; NULL: the default rule */
    struct queue_options queue;            /* its farm is what a ScaledObject calls "namespace" */
};

struct keda;
/* Starts to watch the queue and to listen. Every answer comes from memory: while Redis does not answer it is the last
 * one, and before Redis ever answered it is the error "unavailable", never zero. config.invalid,
 * internal. */
struct keda *keda_start(const struct keda_options *options, struct error *err) must_check;
/* The port it listens on. */
int keda_port(const struct keda *keda);
/* Ends streams and connections in order, in up to two seconds. */
void keda_stop(struct keda *keda);
DEFINE_CLEANUP(struct keda *, keda_stop)
#define _cleanup_keda_ _cleanup_(keda_stop_cleanup)
