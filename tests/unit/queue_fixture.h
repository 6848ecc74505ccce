/* Farms of small campaigns on the Redis of redis_fixture.h. */
#pragma once

#include "redis_fixture.h"

#include "queue/queue.h"

#define SPEC_SHA "0000000000000000000000000000000000000000000000000000000000000000"

static inline void set_first_retry(struct queue *queue, int ms) {
    struct error err;
    struct failure_policies policies = failure_defaults;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        policies.limits[kind][FAILURE_FIRST_RETRY] = ms;
    assert_ok(queue_set_failure(queue, &policies, &err), err);
}

/* A failed job is due again almost at once. */
static inline struct queue *fixture_open(const struct redis_fixture *fixture) {
    struct error err;
    struct queue_options options = {.url = fixture->url};
    struct queue *queue = queue_open(&options, &err);
    assert_ok(queue, err);
    set_first_retry(queue, 1);
    return queue;
}

/* An empty Redis and a connection to it. */
static inline struct queue *fixture_open_empty(const struct redis_fixture *fixture) {
    freeReplyObject(redis_fixture_command(fixture, "FLUSHALL"));
    return fixture_open(fixture);
}

/* Submits a campaign; `languages` such as "hi ta". */
static inline void submit(struct queue *queue, const char *id, enum campaign_class class, const char *languages) {
    struct error err;
    _cleanup_free_ char *words = xstrdup(languages);
    char *rest = words;
    struct dub dubs[16] = {0};
    size_t count = 0;
    for (char *word; (word = strsep(&rest, " "));)
        dubs[count++].language = word;
    struct campaign campaign = {
        .id = (char *)(uintptr_t)id, .name = (char *)"A name", .class = class, .dubs = dubs, .dub_count = count};
    bool created = false;
    assert_ok(queue_submit(queue, &campaign, SPEC_SHA, &created, &err), err);
    assert_true(created);
}

/* Submits a campaign of pictures: for each word of `loras` so many jobs that need it. Returns whether it was created.
 */
static inline bool submit_images(struct queue *queue, const char *id, const char *loras, int jobs_each, bool sheet) {
    enum { PROMPTS_MAX = 64 };
    struct error err;
    _cleanup_free_ char *words = xstrdup(loras);
    char *rest = words;
    struct image_lora held[PROMPTS_MAX] = {0};
    struct image_prompt prompts[PROMPTS_MAX] = {0};
    size_t count = 0;
    for (char *word; (word = strsep(&rest, " ")); count++) {
        held[count] = (struct image_lora){.name = word, .weight = 1};
        prompts[count] =
            (struct image_prompt){.count = jobs_each * IMAGE_HANDFUL, .loras = &held[count], .lora_count = 1};
    }
    struct campaign campaign = {
        .id = (char *)(uintptr_t)id,
        .name = (char *)"A name",
        .class = CLASS_BATCH,
        .workload = WORKLOAD_IMAGES,
        .images = {.model = (char *)IMAGES_MODEL, .prompts = prompts, .prompt_count = count, .sheet = sheet}};
    bool created = false;
    assert_ok(queue_submit(queue, &campaign, SPEC_SHA, &created, &err), err);
    return created;
}

static inline struct claim_options all_pools(const char *worker, int lease_ms) {
    static const enum pool pools[] = {POOL_LIPSYNC, POOL_CPU, POOL_IMAGE};
    return (struct claim_options){.worker = worker, .pools = pools, .pool_count = POOL_COUNT, .lease_ms = lease_ms};
}

/* Claims one job of any pool under a lease; false when there is none. */
static inline bool claim_for(struct queue *queue, const char *worker, int lease_ms, struct claim *claim) {
    struct error err;
    struct claim_options options = all_pools(worker, lease_ms);
    size_t count = 0;
    assert_ok(queue_claim(queue, &options, claim, 1, &count, &err), err);
    return count == 1;
}

static inline struct claim claim_one(struct queue *queue, const char *worker) {
    struct claim claim = {0};
    assert_true(claim_for(queue, worker, 60000, &claim));
    return claim;
}

/* Claims, and it must be this job. */
static inline struct claim claim_job(struct queue *queue, const char *worker, const char *id) {
    struct claim claim = claim_one(queue, worker);
    assert_string_equal(claim.job_id, id);
    return claim;
}

/* Claims once a lease has run out or a delay is over. */
static inline struct claim claim_later(struct queue *queue, const char *worker) {
    struct claim claim = {0};
    for (int i = 0; i < 2000 && !claim_for(queue, worker, 60000, &claim); i++)
        clock_sleep_ms(clock_system(), 5);
    assert_true(claim.attempt > 0);
    return claim;
}

static inline struct job_spec job_spec(const char *id, int waits_for, const char *next) {
    struct job_spec spec = {.waits_for = waits_for};
    snprintf(spec.id, sizeof spec.id, "%s", id);
    snprintf(spec.next, sizeof spec.next, "%s", next);
    return spec;
}

/* The jobs that plan and track bring into being: `segments` of each, one dub per segment and language. */
static inline size_t children_of(const struct job_id *done, const char *languages, int segments,
                                 struct job_spec *children) {
    struct job_id id = *done;
    size_t count = 0;
    id.kind = KIND_TRACK;
    for (id.index = 0; done->kind == KIND_PLAN && id.index < segments; id.index++)
        job_id_format(&id, children[count++].id);
    _cleanup_free_ char *words = xstrdup(languages);
    char *rest = words;
    for (char *word; done->kind <= KIND_TRACK && (word = strsep(&rest, " "));) {
        struct job_id join = {.kind = KIND_JOIN};
        snprintf(join.campaign, sizeof join.campaign, "%s", done->campaign);
        snprintf(join.language, sizeof join.language, "%s", word);
        struct job_spec *child = &children[count++];
        if (done->kind == KIND_TRACK) {
            job_id_format(&join, child->next);
            join.kind = KIND_DUB;
            join.index = done->index;
        } else {
            child->waits_for = segments;
        }
        job_id_format(&join, child->id);
    }
    return count;
}

/* Finishes a claim of a campaign of that shape, with an artifact and a report. */
static inline bool finish_shaped(struct queue *queue, const char *worker, const struct claim *claim,
                                 const char *languages, int segments, struct error *err) {
    _cleanup_free_ struct job_spec *children = xnew_array(struct job_spec, (size_t)segments + 16);
    _cleanup_free_ char *artifact = layout_artifact(&claim->job, claim->stamp);
    json_t *report = json_pack("{s:i, s:{s:i}}", "frames", 24, "steps_ms", "lips", 7);
    struct job_result result = {.artifact = artifact,
                                .report = report,
                                .children = children,
                                .child_count = children_of(&claim->job, languages, segments, children)};
    bool finished = queue_finish(queue, worker, claim, &result, err);
    json_decref(report);
    return finished;
}

static inline void finish(struct queue *queue, const char *worker, const struct claim *claim, const char *languages,
                          int segments) {
    struct error err;
    assert_ok(finish_shaped(queue, worker, claim, languages, segments, &err), err);
}

static inline void fail_with(struct queue *queue, const char *worker, const struct claim *claim, enum error_code code) {
    struct error err, failure;
    error_set(&failure, code, "it \"broke\"");
    assert_ok(queue_fail(queue, worker, claim, &failure, &err), err);
}

/* Claims and finishes whatever there is until nothing is ready; returns how many jobs that were. */
static inline int drain(struct queue *queue, const char *languages, int segments) {
    struct claim claim;
    int done = 0;
    for (; claim_for(queue, "drainer", 60000, &claim); done++)
        finish(queue, "drainer", &claim, languages, segments);
    return done;
}

/* Submits a campaign and finishes its plan and its tracks, so that all its dubs are ready. */
static inline void submit_to_dubs(struct queue *queue, const char *id, enum campaign_class class, const char *languages,
                                  int segments) {
    submit(queue, id, class, languages);
    for (int i = 0; i < 1 + segments; i++) {
        struct claim claim = claim_one(queue, "setup");
        assert_true(claim.job.kind <= KIND_TRACK);
        finish(queue, "setup", &claim, languages, segments);
    }
}

/* A member of a job, as text. Borrowed until the next call. */
static inline const char *job_text(struct queue *queue, const char *id, const char *member) {
    static char text[200];
    struct error err;
    _cleanup_json_ json_t *job = queue_job(queue, id, &err);
    assert_ok(job, err);
    snprintf(text, sizeof text, "%s", json_get_string(job, member, "(none)"));
    return text;
}

static inline int64_t job_number(struct queue *queue, const char *id, const char *member) {
    struct error err;
    _cleanup_json_ json_t *job = queue_job(queue, id, &err);
    assert_ok(job, err);
    return json_get_integer(job, member, -1);
}

#define assert_job_state(queue, id, wanted) assert_string_equal(job_text(queue, id, "state"), wanted)

static inline const char *campaign_state(struct queue *queue, const char *id) {
    static char text[32];
    struct error err;
    _cleanup_json_ json_t *campaign = queue_campaign(queue, id, &err);
    assert_ok(campaign, err);
    snprintf(text, sizeof text, "%s", json_get_string(campaign, "state", "(none)"));
    return text;
}

static inline const char *language_state(struct queue *queue, const char *id, size_t index) {
    static char text[32];
    struct error err;
    _cleanup_json_ json_t *campaign = queue_campaign(queue, id, &err);
    assert_ok(campaign, err);
    const json_t *language = json_array_get(json_object_get(campaign, "languages"), index);
    snprintf(text, sizeof text, "%s", json_get_string(language, "state", "(none)"));
    return text;
}

/* Nothing is leased, ready or delayed any more, and no sum says otherwise. */
static inline void assert_idle(struct queue *queue) {
    struct error err;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        struct pool_counts counts;
        assert_ok(queue_pool_counts(queue, (enum pool)pool, INT32_MAX, &counts, &err), err);
        for (int class = 0; class < CLASS_COUNT; class ++)
            assert_int_equal(counts.ready[class] + counts.leased[class] + counts.delayed[class], 0);
        assert_int_equal(counts.oldest_ready_ms, 0);
    }
}
