/* Whether the worker itself is ill: its disk is full, its clock is wrong, its card is gone, a model is missing. Jobs
 * that fail by a worker's fault go back to the queue unharmed; after three in a row, with no job done in between, the
 * worker stops claiming, so that it does not make every job wait for it. After a pause, which grows, it tries one job.
 * Private to this room. */
#pragma once

#include "farm/campaign.h"

struct illness {
    int in_a_row;
    bool ill, trying;                   /* trying: one job may be claimed, to see */
    char campaign[CAMPAIGN_ID_MAX + 1]; /* of the last fault that a campaign may have asked for; "" */
    struct error why;                   /* the last fault of its own */
    int64_t since_ms;                   /* Unix time */
    int64_t again_ms;                   /* monotonic: when it tries again */
    int64_t pause_ms;
};

/* A job of the campaign failed, or (campaign "") an executor could not be started or the farm's own files could not be
 * reached, by this worker's own fault; `now_ms` monotonic. A model or an object that a spec names may be nowhere at
 * all: such faults count once a campaign, or one bad campaign would make every worker ill. Logs when it becomes ill. */
void illness_note(struct illness *illness, const char *worker, const char *campaign, const struct error *why,
                  int64_t now_ms);
/* A job went well, or failed by another's fault. */
void illness_end(struct illness *illness, const char *worker);
/* What made it ill may be over: it tries a job at once. */
void illness_try(struct illness *illness);
/* Whether a job may be claimed now, `busy` jobs running. */
bool illness_allows(struct illness *illness, int busy, int64_t now_ms);
