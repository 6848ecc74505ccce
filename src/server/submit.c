/* POST /v1/campaigns. A campaign is acknowledged only when its spec is in the store and in Redis, in this order: a
 * crash in between leaves a spec that no campaign has, and the same request sent again continues from it. */
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "farm/limits.h"
#include "server/handlers.h"
#include "server/reply.h"
#include "store/input.h"

enum {
    IDEMPOTENCY_KEY_MAX = 128,
    VALUES_MAX = 200000,           /* 10,000 prompts with every member and a LoRA have 190,000 */
    LARGE_SPEC_BYTES = 256 * 1024, /* dubs have less than a tenth */
    LARGE_SPECS_MAX = 4,           /* at a time: each may take 100 MiB */
};

/* A submit that is under way. */
struct submit {
    struct campaign *campaign;
    char *seed; /* what the campaign's id is made from */
    bool is_keyed;
};

static void submit_clear(struct submit *submit) {
    if (submit->campaign)
        campaign_free(submit->campaign);
    free(submit->seed);
}

/* What the campaign's id is made from: the same key of the same user gives the same id. Caller frees. */
static char *submit_seed(const struct request *request, struct error *err) {
    const char *key = request_header(request, "Idempotency-Key");
    if (!key) {
        char random[33];
        random_text(random, sizeof random - 1);
        return xstrdup(random);
    }
    size_t length = strlen(key);
    bool visible = length > 0 && length <= IDEMPOTENCY_KEY_MAX;
    for (size_t i = 0; visible && i < length; i++)
        visible = key[i] > ' ' && key[i] <= '~';
    if (visible)
        return xasprintf("%s\n%s", request->key_name, key);
    error_set(err, ERR_API_BAD_REQUEST, "Idempotency-Key must be 1 to %d visible ASCII characters",
              IDEMPOTENCY_KEY_MAX);
    return NULL;
}

static void problems_fail(struct request *request, json_t *problems, struct error *err) {
    size_t count = json_array_size(problems);
    const json_t *first = json_array_get(problems, 0);
    error_set(err, ERR_SPEC_INVALID, "the spec has %zu problem%s; %s: %s", count, count == 1 ? "" : "s",
              json_get_string(first, "path", "$"), json_get_string(first, "message", ""));
    request->details = json_incref(problems);
}

bool submit_begin(struct request *request, struct error *err) {
    request->has_large_spec = request->content_length > LARGE_SPEC_BYTES;
    return !request->has_large_spec || atomic_fetch_add(&request->api->large_specs, 1) < LARGE_SPECS_MAX ||
           error_set(err, ERR_API_BUSY, "the server reads %d large specs already; try again later", LARGE_SPECS_MAX);
}

void submit_end(struct request *request) {
    if (request->has_large_spec)
        atomic_fetch_sub(&request->api->large_specs, 1);
}

static bool submit_parse(struct request *request, struct submit *submit, struct error *err) {
    _cleanup_json_ json_t *spec = request_json(request, VALUES_MAX, err);
    submit->seed = spec ? submit_seed(request, err) : NULL;
    if (!submit->seed)
        return false;
    submit->is_keyed = request_header(request, "Idempotency-Key");
    _cleanup_free_ char *id = campaign_make_id(json_get_string(spec, "name", ""), submit->seed);
    _cleanup_json_ json_t *problems = json_array();
    submit->campaign = campaign_parse(spec, id, problems);
    if (!submit->campaign)
        problems_fail(request, problems, err);
    return submit->campaign;
}

/* Whether the user has to do something about an input that could not be read: give another one, or let the farm read
 * it. */
static bool input_is_to_blame(enum error_code code) {
    return error_fault(code) == FAULT_INPUT || code == ERR_STORE_DENIED;
}

/* Adds a problem when the input certainly cannot be read. False when the store itself fails. */
static bool input_add_problem(struct store *store, const char *uri, char *path, json_t *problems, struct error *err) {
    _cleanup_free_ char *owned = path;
    struct store_stat stat;
    struct error cause;
    if (input_check(store, uri, &stat, &cause))
        return true;
    if (cause.code == ERR_STORE_CREDENTIALS)
        return true; /* the workers' credentials may reach what the server's do not */
    if (!input_is_to_blame(cause.code)) {
        *err = cause;
        return false;
    }
    json_array_append_new(problems, json_pack("{s:s, s:o, s:s}", "path", owned, "message", reply_string(cause.message),
                                              "code", error_name(cause.code)));
    return true;
}

static bool dubs_add_problems(struct store *store, const struct campaign *campaign, json_t *problems,
                              struct error *err) {
    if (!input_add_problem(store, campaign->video, xstrdup("$.video"), problems, err))
        return false;
    for (size_t i = 0; i < campaign->dub_count; i++)
        if (!input_add_problem(store, campaign->dubs[i].audio, xasprintf("$.dubs[%zu].audio", i), problems, err))
            return false;
    return true;
}

/* Of a file that several prompts use, the first one's path. */
static bool images_add_problems(struct store *store, const struct images *images, json_t *problems, struct error *err) {
    _cleanup_json_ json_t *known = json_object();
    for (size_t i = 0; i < images->prompt_count; i++) {
        for (size_t k = 0; k < images->prompts[i].lora_count; k++) {
            const char *file = images->prompts[i].loras[k].file;
            if (!file || json_object_get(known, file))
                continue;
            json_object_set_new(known, file, json_true());
            if (!limit_check(LIMIT_LORA_FILES, (double)json_object_size(known), "the campaign", err) ||
                !input_add_problem(store, file, xasprintf("$.images.prompts[%zu].loras[%zu].file", i, k), problems,
                                   err))
                return false;
        }
    }
    return true;
}

static bool inputs_check(struct request *request, const struct campaign *campaign, struct error *err) {
    _cleanup_json_ json_t *problems = json_array();
    struct store *store = request->api->store;
    bool checked = campaign->workload == WORKLOAD_DUBS ? dubs_add_problems(store, campaign, problems, err)
                                                       : images_add_problems(store, &campaign->images, problems, err);
    if (!checked)
        return false;
    if (json_array_size(problems) == 0)
        return true;
    problems_fail(request, problems, err);
    return false;
}

struct spec {
    char *key, *text;
    char sha256[SHA256_HEX + 1];
};

static void spec_clear(struct spec *spec) {
    free(spec->key);
    free(spec->text);
}

static bool spec_make(const struct campaign *campaign, struct spec *spec, struct error *err) {
    _cleanup_json_ json_t *json = campaign_to_json(campaign);
    unsigned char hash[SHA256_BYTES];
    spec->key = layout_spec(campaign->id);
    spec->text = json_line(json);
    sha256_of(spec->text, strlen(spec->text), hash);
    hex_encode(hash, sizeof hash, spec->sha256);
    return limit_check(LIMIT_SPEC_BYTES, (double)strlen(spec->text), "the campaign", err);
}

/* Whether this very spec is stored already; api.conflict when another one is. */
static bool spec_find(struct store *store, const struct spec *spec, bool *found, struct error *err) {
    _cleanup_buffer_ struct buffer stored = {0};
    struct error cause;
    *found = store_get(store, spec->key, (size_t)limit_most(LIMIT_SPEC_BYTES), &stored, &cause);
    if (!*found && cause.code != ERR_STORE_NOT_FOUND) {
        *err = cause;
        return false;
    }
    if (*found && (stored.length != strlen(spec->text) || memcmp(stored.data, spec->text, stored.length) != 0))
        return error_set(err, ERR_API_CONFLICT, "this Idempotency-Key was used before with another spec");
    return true;
}

static bool spec_store(struct store *store, const struct spec *spec, struct error *err) {
    struct error cause;
    bool found;
    if (store_put(store, spec->key, spec->text, strlen(spec->text), STORE_IF_ABSENT, &cause))
        return true;
    if (cause.code == ERR_STORE_EXISTS)
        return spec_find(store, spec, &found, err);
    *err = cause;
    return false;
}

/* Binds the key to the campaign's id, which another name would change: without it the same key would be good for one
 * campaign a name. api.conflict when it is bound to another one. */
static bool key_bind(struct store *store, const struct submit *submit, struct error *err) {
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    const char *id = submit->campaign->id;
    if (!submit->is_keyed)
        return true;
    sha256_of(submit->seed, strlen(submit->seed), hash);
    hex_encode(hash, sizeof hash, hex);
    _cleanup_free_ char *key = layout_idempotency(hex);
    _cleanup_buffer_ struct buffer bound = {0};
    if (store_put(store, key, id, strlen(id), STORE_IF_ABSENT, err))
        return true;
    if (err->code != ERR_STORE_EXISTS || !store_get(store, key, CAMPAIGN_ID_MAX, &bound, err))
        return false;
    return (bound.data && strcmp(bound.data, id) == 0) ||
           error_set(err, ERR_API_CONFLICT, "this Idempotency-Key was used before, for the campaign %s",
                     bound.data ? bound.data : "");
}

/* A campaign whose spec is older than Redis keeps a finished one, and that Redis does not know, is over: it must not
 * run again because somebody repeats a request. A younger one was not submitted wholly, or is to be recovered: both are
 * continued. */
static bool repeat_check(struct request *request, struct queue *queue, const struct spec *spec, const char *id,
                         struct error *err) {
    struct store_stat stat;
    _cleanup_json_ json_t *known = queue_campaign(queue, id, err);
    if (known || err->code != ERR_QUEUE_NOT_FOUND)
        return known;
    if (!store_head(request->api->store, spec->key, &stat, err))
        return false;
    return clock_wall_ms(request->api->clock) - stat.modified_ms < QUEUE_KEEP_FINISHED_MS ||
           error_set(err, ERR_API_CONFLICT,
                     "this Idempotency-Key was used more than seven days ago, for the campaign %s, which is over", id);
}

static bool submit_reply(struct request *request, struct queue *queue, const struct campaign *submitted,
                         struct error *err) {
    const char *id = submitted->id;
    _cleanup_json_ json_t *campaign = queue_campaign(queue, id, err);
    if (!campaign)
        return false;
    _cleanup_free_ char *self = xasprintf("/v1/campaigns/%s", id), *jobs = xasprintf("%s/jobs", self),
                        *events = xasprintf("%s/events", self), *trace = xasprintf("%s/trace", self);
    json_t *body = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s}, s:o}", "id", id, "state",
                             json_get_string(campaign, "state", "running"), "links", "self", self, "jobs", jobs,
                             "events", events, "trace", trace, "warnings", campaign_warnings(submitted));
    if (!reply_json(request, MHD_HTTP_ACCEPTED, body))
        return error_set(err, ERR_INTERNAL, "the answer could not be written");
    reply_header(request, "Location", self);
    return true;
}

bool campaigns_submit(struct request *request, struct error *err) {
    _cleanup_(submit_clear) struct submit submit = {0};
    if (!submit_parse(request, &submit, err))
        return false;
    /* First, so that no spec is stored while Redis is away: it would belong to a campaign that nobody acknowledged. */
    struct queue *queue = request_queue(request, err);
    if (!queue || !queue_ping(queue, err))
        return false;
    struct store *store = request->api->store;
    _cleanup_(spec_clear) struct spec spec = {0};
    bool found, created;
    if (!spec_make(submit.campaign, &spec, err) || !spec_find(store, &spec, &found, err))
        return false;
    if (found && !repeat_check(request, queue, &spec, submit.campaign->id, err))
        return false;
    if (!found && (!inputs_check(request, submit.campaign, err) || !key_bind(store, &submit, err) ||
                   !spec_store(store, &spec, err)))
        return false;
    return queue_submit(queue, submit.campaign, spec.sha256, &created, err) &&
           submit_reply(request, queue, submit.campaign, err);
}
