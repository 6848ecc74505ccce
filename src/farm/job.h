/* Jobs: kinds, the pools whose workers do them, states, and their readable ids. */
#pragma once

#include "farm/campaign.h"

#define KIND(id, ...) KIND_##id,
enum job_kind {
#include "farm/kinds.def"
    KIND_COUNT
};
#undef KIND
enum pool { POOL_CPU, POOL_LIPSYNC, POOL_IMAGE, POOL_COUNT };
enum job_state { JOB_WAITING, JOB_READY, JOB_DELAYED, JOB_LEASED, JOB_DONE, JOB_DEAD, JOB_CANCELLED, JOB_STATE_COUNT };

enum { JOB_ID_MAX = CAMPAIGN_ID_MAX + LANGUAGE_MAX + 16 };
enum { STAMP_MAX = 24 }; /* of a claim: "2-1f3a9c0b2d", see queue.h */

struct job_id {
    char campaign[CAMPAIGN_ID_MAX + 1];
    enum job_kind kind;
    char language[LANGUAGE_MAX + 1]; /* "" for kinds that all languages share, and where there are none */
    int index;                       /* track: segment; dub: output segment; image: handful of pictures; else 0 */
};

/* "<campaign>/plan", "<campaign>/track/0007", "<campaign>/hi/dub/0007", "<campaign>/hi/join",
 * "<campaign>/image/0007", "<campaign>/sheet". */
void job_id_format(const struct job_id *id, char out[JOB_ID_MAX + 1]);
/* The reverse; false when the text is no job id. */
bool job_id_parse(const char *text, struct job_id *out);
/* As job_id_parse; false with queue.not_found. */
bool job_id_check(const char *id, struct job_id *parsed, struct error *err) must_check;
/* What follows "<campaign>/" in a valid job id. Borrowed from it. */
const char *job_id_suffix(const char *job_id);

const char *job_kind_name(enum job_kind kind);
enum workload job_kind_workload(enum job_kind kind);
enum pool job_kind_pool(enum job_kind kind);
const char *pool_name(enum pool pool);
/* False, and *out unchanged, for a name that is none. */
bool pool_parse(const char *name, enum pool *out);
const char *job_state_name(enum job_state state);

/* A job to be put into the queue. */
struct job_spec {
    char id[JOB_ID_MAX + 1];
    int waits_for;             /* how many jobs name this one as `next`; it is ready when they are all done */
    char next[JOB_ID_MAX + 1]; /* the job that waits for this one; "" for none */
    /* Jobs with the same text need the same things loaded; "": nothing that takes long. Letters and digits. */
    char affinity[AFFINITY_MAX + 1];
};
