/* Receipts. A job has one artifact for ever: the one that its receipt names. The receipt is written before Redis
 * publishes the job, so whatever Redis loses, the store knows what was published; and since it is written once, an
 * attempt that finds another one's receipt publishes that one's artifact, which is as good and may be in use already.
 */
#pragma once

#include "queue/queue.h"
#include "store/store.h"

struct receipt {
    char *artifact; /* its key in the store */
    json_t *report;
};

/* Frees the members; safe on zeros. */
void receipt_clear(struct receipt *receipt);
#define _cleanup_receipt_ _cleanup_(receipt_clear)

/* *found: the job has a receipt that can be read, and its artifact is in the store; then *out is the caller's to clear.
 * Errors of the store; that there is none is no error. */
bool receipt_read(struct store *store, const struct job_id *job, struct receipt *out, bool *found,
                  struct error *err) must_check;
/* Settles which artifact a job has that `worker` did under the claim: *receipt as given, for which a receipt is
 * written, or, if the job has one already, what that says, which replaces *receipt. A receipt whose artifact is gone is
 * written anew. Errors of the store. */
bool receipt_settle(struct store *store, const struct claim *claim, const char *worker, struct receipt *receipt,
                    struct error *err) must_check;
