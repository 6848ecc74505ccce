/* Campaigns of small jobs: the real graph, queue and store, with artifacts of a few bytes that tell where they come
 * from. A campaign's name is its number of segments. */
#pragma once

#include <string.h>

#include "../support/plan_of_frames.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/memory.h"
#include "queue/queue.h"
#include "recover/receipt.h"
#include "store/store.h"

enum { SMALL_DOCUMENT_MAX = 16 << 20 };

static inline bool small_get(struct store *store, const char *key, struct buffer *out, struct error *err) {
    return store_get(store, key, SMALL_DOCUMENT_MAX, out, err);
}

static inline bool small_put(struct store *store, const char *key, const char *text, enum store_flags flags,
                             struct error *err) {
    return store_put(store, key, text, strlen(text), flags, err) ||
           ((flags & STORE_IF_ABSENT) && err->code == ERR_STORE_EXISTS);
}

/* What every campaign's video and speech is. */
static const char small_file[] = "a small file";

static inline void small_file_sha256(char hex[SHA256_HEX + 1]) {
    unsigned char hash[SHA256_BYTES];
    sha256_of(small_file, strlen(small_file), hash);
    hex_encode(hash, sizeof hash, hex);
}

/* Uploads it, for those who fetch what they work on. */
static inline bool small_put_file(struct store *store, struct error *err) {
    char hex[SHA256_HEX + 1];
    small_file_sha256(hex);
    _cleanup_free_ char *key = layout_file(hex);
    return small_put(store, key, small_file, 0, err);
}

/* `languages`: "hi ta". */
static inline struct campaign *small_campaign(const char *id, const char *class, const char *languages, int segments) {
    _cleanup_json_ json_t *dubs = json_array(), *problems = json_array();
    char hex[SHA256_HEX + 1];
    small_file_sha256(hex);
    _cleanup_free_ char *words = xstrdup(languages), *name = xasprintf("%d", segments),
                        *uri = xasprintf("sha256:%s", hex);
    char *rest = words;
    for (char *word; (word = strsep(&rest, " "));)
        json_array_append_new(dubs, json_pack("{s:s, s:s}", "language", word, "audio", uri));
    _cleanup_json_ json_t *spec = json_pack("{s:s, s:s, s:s, s:O, s:{s:i, s:s}}", "name", name, "class", class, "video",
                                            uri, "dubs", dubs, "options", "segment_seconds", 1, "sync", "silence");
    return campaign_parse(spec, id, problems);
}

/* A campaign of pictures: for each word of `loras`, "a b", so many jobs that need it. */
static inline struct campaign *small_images(const char *id, const char *class, const char *loras, int jobs_each,
                                            bool sheet) {
    _cleanup_json_ json_t *prompts = json_array(), *problems = json_array();
    _cleanup_free_ char *words = xstrdup(loras), *name = xasprintf("%d", jobs_each);
    char *rest = words;
    for (char *word; (word = strsep(&rest, " "));)
        json_array_append_new(prompts, json_pack("{s:s, s:i, s:[{s:s}]}", "prompt", "a small picture", "count",
                                                 jobs_each * IMAGE_HANDFUL, "loras", "name", word));
    _cleanup_json_ json_t *spec = json_pack("{s:s, s:s, s:{s:O, s:b}}", "name", name, "class", class, "images",
                                            "prompts", prompts, "sheet", sheet);
    return campaign_parse(spec, id, problems);
}

/* Writes the spec, then tells the queue, as the server does. */
static inline bool small_submit(struct queue *queue, struct store *store, const struct campaign *campaign,
                                struct error *err) {
    _cleanup_json_ json_t *spec = campaign_to_json(campaign);
    _cleanup_free_ char *text = json_line(spec), *key = layout_spec(campaign->id);
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    bool created;
    sha256_of(text, strlen(text), hash);
    hex_encode(hash, sizeof hash, hex);
    return small_put(store, key, text, STORE_IF_ABSENT, err) && queue_submit(queue, campaign, hex, &created, err);
}

static inline struct plan *small_make_plan(const struct campaign *campaign) {
    return plan_of_frames(campaign, 2, 2, 25 * strtol(campaign->name, NULL, 10), 1);
}

static inline json_t *small_get_json(struct store *store, const char *key, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    return small_get(store, key, &text, err) ? json_parse(text.data, text.length, err) : NULL;
}

/* The plan of a campaign of dubs: made by the plan job, read by the others. */
static inline struct plan *small_plan(struct store *store, const struct claim *claim, struct error *err) {
    _cleanup_free_ char *spec_key = layout_spec(claim->job.campaign), *plan_key = layout_plan(claim->job.campaign);
    if (claim->job.kind == KIND_PLAN) {
        _cleanup_json_ json_t *spec = small_get_json(store, spec_key, err), *problems = json_array();
        _cleanup_campaign_ struct campaign *campaign =
            spec ? campaign_parse(spec, claim->job.campaign, problems) : NULL;
        if (!campaign)
            return NULL;
        _cleanup_plan_ struct plan *plan = small_make_plan(campaign);
        _cleanup_json_ json_t *json = plan_to_json(plan);
        _cleanup_free_ char *text = json_line(json);
        if (!small_put(store, plan_key, text, STORE_IF_ABSENT, err))
            return NULL;
    }
    _cleanup_json_ json_t *json = small_get_json(store, plan_key, err);
    return json ? plan_from_json(json, err) : NULL;
}

/* A join lists its dubs' artifacts, all of which must be there. */
static inline bool small_join(struct queue *queue, struct store *store, const struct plan *plan,
                              const struct claim *claim, struct buffer *out, struct error *err) {
    const struct plan_language *language = plan_language_find(plan, claim->job.language);
    struct job_id dub = claim->job;
    dub.kind = KIND_DUB;
    for (dub.index = 0; (size_t)dub.index < language->output_count; dub.index++) {
        char id[JOB_ID_MAX + 1];
        const char *ids[] = {id};
        job_id_format(&dub, id);
        _cleanup_json_ json_t *artifacts = queue_artifacts(queue, ids, 1, err);
        const char *key = json_string_value(json_array_get(artifacts, 0));
        struct store_stat stat;
        if (!artifacts)
            return false;
        if (!key)
            return error_set(err, ERR_INTERNAL, "%s has no artifact", id);
        if (!store_head(store, key, &stat, err))
            return false;
        buffer_appendf(out, "%s\n", key);
    }
    return true;
}

/* Does the job, which writes its artifact. New key in *artifact. */
static inline bool small_work(struct queue *queue, struct store *store, const struct plan *plan,
                              const struct claim *claim, char **artifact, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    buffer_appendf(&text, "%s %s\n", claim->job_id, claim->stamp);
    *artifact = layout_artifact(&claim->job, claim->stamp);
    if (claim->job.kind == KIND_JOIN && !small_join(queue, store, plan, claim, &text, err))
        return false;
    return claim->job.kind == KIND_PLAN || store_put(store, *artifact, text.data, text.length, STORE_IF_ABSENT, err);
}

/* Settles the receipt, then publishes what it says. */
static inline bool small_finish(struct queue *queue, struct store *store, const struct plan *plan, const char *worker,
                                const struct claim *claim, const char *artifact, struct error *err) {
    _cleanup_free_ struct job_spec *children = NULL;
    _cleanup_receipt_ struct receipt receipt = {xstrdup(artifact), json_pack("{s:i}", "frames", 25)};
    if (!receipt_settle(store, claim, worker, &receipt, err))
        return false;
    struct job_result result = {.artifact = receipt.artifact, .report = receipt.report};
    result.child_count = plan ? plan_children(plan, &claim->job, &children) : 0;
    result.children = children;
    return queue_finish(queue, worker, claim, &result, err);
}

/* All of a claimed job. */
static inline bool small_run(struct queue *queue, struct store *store, const char *worker, const struct claim *claim,
                             struct error *err) {
    bool of_dubs = job_kind_workload(claim->job.kind) == WORKLOAD_DUBS;
    _cleanup_plan_ struct plan *plan = of_dubs ? small_plan(store, claim, err) : NULL;
    _cleanup_free_ char *artifact = NULL;
    return (plan || !of_dubs) && small_work(queue, store, plan, claim, &artifact, err) &&
           small_finish(queue, store, plan, worker, claim, artifact, err);
}
