#include "recover/recover.h"

#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "recover/receipt.h"

enum {
    LEASE_MS = 10000,        /* what another restorer waits for when this one dies; a job is restored in far less */
    BUSY_MS = 20,            /* before asking again for a job that another restorer holds */
    DOCUMENT_MAX = 64 << 20, /* bytes of a spec, plan or receipt */
};

struct recovery {
    struct queue *queue;
    struct store *store;
    bool dry_run;
    char restorer[32]; /* the worker that jobs are leased to */
    struct campaign *campaign;
    struct plan *plan;
    json_t *receipts;            /* an object used as a set: suffixes of the jobs that have one */
    char sha256[SHA256_HEX + 1]; /* of the spec */
    bool planned;                /* the plan was published, so `plan` is there */
    int kept, restored, queued;
};

static void recovery_clear(struct recovery *recovery) {
    if (recovery->campaign)
        campaign_free(recovery->campaign);
    if (recovery->plan)
        plan_free(recovery->plan);
    json_decref(recovery->receipts);
}

/* ---- what the store says ---- */

/* Adds the campaign's id when the key is that of a spec. True: the listing goes on. */
static bool add_spec(const char *key, const struct store_stat *stat, void *ids) {
    _cleanup_free_ char *id = xstrdup(key + strlen("campaigns/"));
    id[strcspn(id, "/")] = '\0';
    _cleanup_free_ char *spec = layout_spec(id);
    if (strcmp(spec, key) == 0 && campaign_id_is_valid(id))
        json_array_append_new(ids, json_string(id));
    return true;
}

json_t *recover_list(struct store *store, struct error *err) {
    _cleanup_json_ json_t *ids = json_array();
    return store_list(store, "campaigns/", add_spec, ids, err) ? steal(ids) : NULL;
}

/* As add_spec; ends the listing at the first one. */
static bool add_first_spec(const char *key, const struct store_stat *stat, void *ids) {
    add_spec(key, stat, ids);
    return json_array_size(ids) == 0;
}

bool recover_is_needed(struct queue *queue, struct store *store, bool *needed, struct error *err) {
    _cleanup_json_ json_t *campaigns = queue_campaigns(queue, NULL, 1, err);
    _cleanup_json_ json_t *totals = campaigns ? queue_totals(queue, err) : NULL; /* they outlive every campaign */
    _cleanup_json_ json_t *stored = json_array();
    *needed = false;
    if (!totals || json_object_size(totals) > 0 || json_array_size(json_object_get(campaigns, "items")) > 0)
        return totals != NULL;
    if (!store_list(store, "campaigns/", add_first_spec, stored, err))
        return false;
    *needed = json_array_size(stored) > 0;
    return true;
}

struct receipts {
    size_t prefix; /* length of the keys' common prefix */
    json_t *suffixes;
};

static bool add_receipt(const char *key, const struct store_stat *stat, void *context) {
    const struct receipts *receipts = context;
    _cleanup_free_ char *suffix = xstrdup(key + receipts->prefix);
    char *end = strrchr(suffix, '.');
    if (end && strcmp(end, ".json") == 0) {
        *end = '\0';
        json_object_set_new(receipts->suffixes, suffix, json_true());
    }
    return true;
}

static bool recovery_load_spec(struct recovery *recovery, const char *id, struct error *err) {
    _cleanup_free_ char *key = layout_spec(id);
    _cleanup_buffer_ struct buffer text = {0};
    if (!store_get(recovery->store, key, DOCUMENT_MAX, &text, err))
        return error_wrap(err, "campaign %s", id);
    unsigned char hash[SHA256_BYTES];
    sha256_of(text.data, text.length, hash);
    hex_encode(hash, sizeof hash, recovery->sha256);
    _cleanup_json_ json_t *spec = json_parse(text.data, text.length, err), *problems = json_array();
    recovery->campaign = spec ? campaign_parse(spec, id, problems) : NULL;
    return recovery->campaign || error_set(err, ERR_SPEC_INVALID, "%s is not a spec of this version of mela", key);
}

static bool recovery_list_receipts(struct recovery *recovery, struct error *err) {
    _cleanup_free_ char *prefix = layout_receipts_prefix(recovery->campaign->id);
    recovery->receipts = json_object();
    struct receipts receipts = {strlen(prefix), recovery->receipts};
    return store_list(recovery->store, prefix, add_receipt, &receipts, err);
}

/* The plan, of dubs and if there is any receipt. A plan without one may be that of a plan job that is running just
 * now, and that job will end by itself. */
static bool recovery_load_plan(struct recovery *recovery, struct error *err) {
    _cleanup_free_ char *key = layout_plan(recovery->campaign->id);
    if (recovery->campaign->workload != WORKLOAD_DUBS || json_object_size(recovery->receipts) == 0)
        return true;
    _cleanup_buffer_ struct buffer text = {0};
    if (!store_get(recovery->store, key, DOCUMENT_MAX, &text, err))
        return err->code == ERR_STORE_NOT_FOUND; /* the plan job makes it anew */
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, err);
    recovery->plan = json ? plan_from_json(json, err) : NULL;
    recovery->planned = recovery->plan != NULL;
    return recovery->plan != NULL;
}

static bool has_receipt(const struct recovery *recovery, const char *job_id) {
    return json_object_get(recovery->receipts, job_id_suffix(job_id)) != NULL;
}

static bool all_have_receipts(const struct recovery *recovery) {
    _cleanup_free_ struct job_spec *jobs = NULL;
    size_t count = graph_first(recovery->campaign, &jobs), i = 0;
    while (i < count && has_receipt(recovery, jobs[i].id))
        i++;
    return i == count;
}

/* Of dubs whether all are joined, of images whether all there is was made. */
static bool is_finished(const struct recovery *recovery) {
    struct job_id join = {.kind = KIND_JOIN};
    char id[JOB_ID_MAX + 1];
    snprintf(join.campaign, sizeof join.campaign, "%s", recovery->campaign->id);
    if (recovery->campaign->workload == WORKLOAD_IMAGES)
        return all_have_receipts(recovery);
    for (size_t i = 0; i < recovery->campaign->dub_count; i++) {
        snprintf(join.language, sizeof join.language, "%s", recovery->campaign->dubs[i].language);
        job_id_format(&join, id);
        if (!has_receipt(recovery, id))
            return false;
    }
    return recovery->planned;
}

/* ---- one job ---- */

/* The job's receipt. *lost: it cannot be read or its artifact is gone, so the job has to be done again. A job without a
 * receipt of its own is not lost, and *out is empty: it counts as done because the jobs after it are, and nobody needs
 * its artifact. */
static bool read_receipt(struct recovery *recovery, const struct job_spec *job, struct receipt *out, bool *lost,
                         struct error *err) {
    struct job_id id;
    bool found;
    *lost = false;
    if (!has_receipt(recovery, job->id))
        return true;
    if (!job_id_check(job->id, &id, err) || !receipt_read(recovery->store, &id, out, &found, err))
        return error_wrap(err, "the receipt of %s", job->id);
    *lost = !found;
    return true;
}

static bool adopt_job(struct recovery *recovery, const struct job_spec *job, bool dry_run, enum adoption *adoption,
                      struct claim *claim, struct error *err) {
    return queue_adopt(recovery->queue, recovery->restorer, job, LEASE_MS, dry_run, adoption, claim, err);
}

/* Leases the job and finishes it with its result. Waits while another restorer holds it; one that died holds it no
 * longer than its lease. When somebody else has published the job in the meantime, that is success too. */
static bool restore_result(struct recovery *recovery, const struct job_spec *job, const struct receipt *receipt,
                           struct error *err) {
    struct claim claim;
    enum adoption adoption = ADOPT_BUSY;
    while (adoption == ADOPT_BUSY) {
        if (!adopt_job(recovery, job, false, &adoption, &claim, err))
            return false;
        if (adoption == ADOPT_BUSY)
            clock_sleep_ms(clock_system(), BUSY_MS);
    }
    if (adoption != ADOPT_LEASED)
        return true;
    _cleanup_free_ struct job_spec *children = NULL;
    /* A plan has one key whatever the attempt, so its artifact is known without a receipt too. */
    _cleanup_free_ char *plan_key = claim.job.kind == KIND_PLAN ? layout_plan(claim.job.campaign) : NULL;
    struct job_result result = {.artifact = plan_key            ? plan_key
                                            : receipt->artifact ? receipt->artifact
                                                                : "",
                                .report = receipt->report};
    result.child_count = graph_children(recovery->campaign, recovery->plan, &claim.job, &children);
    result.children = children;
    recovery->restored++;
    return queue_finish(recovery->queue, recovery->restorer, &claim, &result, err) || err->code == ERR_QUEUE_STALE ||
           err->code == ERR_CANCELLED;
}

/* Asks Redis about the job, by a dry adoption, and restores its result if Redis does not have it as done. `done`: the
 * store says that the result was published, or that nobody needs it any more. */
static bool restore_job(struct recovery *recovery, const struct job_spec *job, bool done, struct error *err) {
    struct claim claim;
    enum adoption adoption;
    if (!adopt_job(recovery, job, true, &adoption, &claim, err))
        return false;
    bool open = adoption == ADOPT_OPEN || adoption == ADOPT_BUSY, lost = false;
    _cleanup_receipt_ struct receipt receipt = {0};
    if (open && done && !read_receipt(recovery, job, &receipt, &lost, err))
        return false;
    bool publishes = open && done && !lost;
    recovery->kept += publishes || (adoption == ADOPT_DONE);
    recovery->queued += open && !publishes;
    if (publishes && recovery->dry_run)
        recovery->restored++;
    return !publishes || recovery->dry_run || restore_result(recovery, job, &receipt, err);
}

/* ---- one campaign ---- */

/* A track and its dubs, or an image, which has none. A dub counts as done when its language's join is, a track when all
 * its dubs are. The track comes first: its finish brings the dubs into being, so that they need not be created one by
 * one. */
static bool restore_branch(struct recovery *recovery, const struct job_spec *track, struct error *err) {
    struct job_id id;
    _cleanup_free_ struct job_spec *dubs = NULL;
    if (!job_id_check(track->id, &id, err))
        return false;
    size_t count = graph_children(recovery->campaign, recovery->plan, &id, &dubs);
    _cleanup_free_ bool *done = xcalloc(count + 1, sizeof *done);
    bool all = count > 0;
    for (size_t i = 0; i < count; i++) {
        done[i] = has_receipt(recovery, dubs[i].id) || has_receipt(recovery, dubs[i].next);
        all &= done[i];
    }
    bool published = all || has_receipt(recovery, track->id);
    if (!restore_job(recovery, track, published, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if ((published || done[i]) && !restore_job(recovery, &dubs[i], done[i], err))
            return false;
    return true;
}

/* The jobs that come side by side, and those that wait for them: images and the sheet; or tracks and joins, which the
 * finish of the plan creates, so that it is restored first. New array in *jobs. */
static bool restore_beginning(struct recovery *recovery, struct job_spec **jobs, size_t *count, struct error *err) {
    _cleanup_free_ struct job_spec *first = NULL;
    struct job_id id;
    *count = graph_first(recovery->campaign, &first);
    if (recovery->campaign->workload == WORKLOAD_IMAGES) {
        *jobs = steal(first);
        return true;
    }
    *count = 0;
    if (!job_id_check(first->id, &id, err) || !restore_job(recovery, first, recovery->planned, err))
        return false;
    if (recovery->planned)
        *count = graph_children(recovery->campaign, recovery->plan, &id, jobs);
    return true;
}

/* In the order of the graph. */
static bool restore_graph(struct recovery *recovery, struct error *err) {
    _cleanup_free_ struct job_spec *jobs = NULL;
    size_t count;
    if (!restore_beginning(recovery, &jobs, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].waits_for == 0 && !restore_branch(recovery, &jobs[i], err))
            return false;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].waits_for > 0 && !restore_job(recovery, &jobs[i], has_receipt(recovery, jobs[i].id), err))
            return false;
    return true;
}

/* Why the campaign is not restored: the state in which it ended, as Redis or else the store has it, or "old". New
 * string; NULL when it is to be restored. */
static char *settled_state(struct recovery *recovery, const json_t *known, bool named, struct error *err) {
    const char *state = json_get_string(known, "state", "running"), *id = recovery->campaign->id;
    if (strcmp(state, "running") != 0)
        return xstrdup(strcmp(state, "done") == 0 ? "finished" : state);
    if (known)
        return NULL;
    _cleanup_free_ char *spec = layout_spec(id), *cancelled = layout_cancelled(id);
    struct store_stat stat;
    if (store_head(recovery->store, cancelled, &stat, err))
        return xstrdup("cancelled");
    bool young = named || (err->code == ERR_STORE_NOT_FOUND && store_head(recovery->store, spec, &stat, err) &&
                           clock_wall_ms(clock_system()) - stat.modified_ms < QUEUE_KEEP_FINISHED_MS);
    return young ? NULL : xstrdup(is_finished(recovery) ? "finished" : "old");
}

static json_t *recovery_outcome(const struct recovery *recovery, const char *state, bool known) {
    return json_pack("{s:s, s:s, s:b, s:i, s:i, s:i}", "id", recovery->campaign->id, "state", state, "known", known,
                     "kept", recovery->kept, "restored", recovery->restored, "queued", recovery->queued);
}

json_t *recover_campaign(struct queue *queue, struct store *store, const char *id, bool named, bool dry_run,
                         struct error *err) {
    _cleanup_(recovery_clear) struct recovery recovery = {.queue = queue, .store = store, .dry_run = dry_run};
    char random[11];
    random_text(random, sizeof random - 1);
    snprintf(recovery.restorer, sizeof recovery.restorer, "restore-%s", random);
    if (!campaign_id_check(id, err) || !recovery_load_spec(&recovery, id, err) ||
        !recovery_list_receipts(&recovery, err) || !recovery_load_plan(&recovery, err))
        return NULL;
    _cleanup_json_ json_t *known = queue_campaign(queue, id, err);
    if (!known && err->code != ERR_QUEUE_NOT_FOUND)
        return NULL;
    _cleanup_free_ char *settled = settled_state(&recovery, known, named, err);
    if (settled)
        return recovery_outcome(&recovery, settled, known != NULL);
    bool created;
    if ((!dry_run && !queue_submit(queue, recovery.campaign, recovery.sha256, &created, err)) ||
        !restore_graph(&recovery, err))
        return NULL;
    return recovery_outcome(&recovery, is_finished(&recovery) ? "finished" : "running", known != NULL);
}
