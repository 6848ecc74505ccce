/* POST /v1/campaigns. A campaign is acknowledged only when its spec is in the store and in Redis, in this order: a
 * crash in between leaves a spec that no campaign has, and the same request sent again continues from it. */
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "server/handlers.h"
#include "server/reply.h"
#include "store/input.h"

enum { IDEMPOTENCY_KEY_MAX = 128, SPEC_LIMIT = 4 * 1024 * 1024 };

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

static struct campaign *submit_parse(struct request *request, struct error *err) {
    _cleanup_json_ json_t *spec = json_parse(request->body.data ? request->body.data : "", request->body.length, err);
    _cleanup_free_ char *seed = spec ? submit_seed(request, err) : NULL;
    if (!seed)
        return NULL;
    _cleanup_free_ char *id = campaign_make_id(json_get_string(spec, "name", ""), seed);
    _cleanup_json_ json_t *problems = json_array();
    struct campaign *campaign = campaign_parse(spec, id, problems);
    if (!campaign)
        problems_fail(request, problems, err);
    return campaign;
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
    if (!error_is_permanent(cause.code)) {
        *err = cause;
        return false;
    }
    json_array_append_new(problems, json_pack("{s:s, s:o, s:s}", "path", owned, "message", reply_string(cause.message),
                                              "code", error_name(cause.code)));
    return true;
}

static bool inputs_check(struct request *request, const struct campaign *campaign, struct error *err) {
    _cleanup_json_ json_t *problems = json_array();
    struct store *store = request->api->store;
    if (!input_add_problem(store, campaign->video, xstrdup("$.video"), problems, err))
        return false;
    for (size_t i = 0; i < campaign->dub_count; i++)
        if (!input_add_problem(store, campaign->dubs[i].audio, xasprintf("$.dubs[%zu].audio", i), problems, err))
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

static void spec_make(const struct campaign *campaign, struct spec *spec) {
    _cleanup_json_ json_t *json = campaign_to_json(campaign);
    unsigned char hash[SHA256_BYTES];
    spec->key = layout_spec(campaign->id);
    spec->text = json_line(json);
    sha256_of(spec->text, strlen(spec->text), hash);
    hex_encode(hash, sizeof hash, spec->sha256);
}

/* Whether this very spec is stored already; api.conflict when another one is. */
static bool spec_find(struct store *store, const struct spec *spec, bool *found, struct error *err) {
    _cleanup_buffer_ struct buffer stored = {0};
    struct error cause;
    *found = store_get(store, spec->key, SPEC_LIMIT, &stored, &cause);
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

static bool submit_reply(struct request *request, struct queue *queue, const char *id, struct error *err) {
    _cleanup_json_ json_t *campaign = queue_campaign(queue, id, err);
    if (!campaign)
        return false;
    _cleanup_free_ char *self = xasprintf("/v1/campaigns/%s", id), *jobs = xasprintf("%s/jobs", self),
                        *events = xasprintf("%s/events", self), *trace = xasprintf("%s/trace", self);
    json_t *body = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "id", id, "state",
                             json_get_string(campaign, "state", "running"), "links", "self", self, "jobs", jobs,
                             "events", events, "trace", trace);
    if (!reply_json(request, MHD_HTTP_ACCEPTED, body))
        return error_set(err, ERR_INTERNAL, "the answer could not be written");
    reply_header(request, "Location", self);
    return true;
}

bool campaigns_submit(struct request *request, struct error *err) {
    _cleanup_campaign_ struct campaign *campaign = submit_parse(request, err);
    if (!campaign)
        return false;
    /* First, so that no spec is stored while Redis is away: it would belong to a campaign that nobody acknowledged. */
    struct queue *queue = request_queue(request, err);
    if (!queue || !queue_ping(queue, err))
        return false;
    _cleanup_(spec_clear) struct spec spec = {0};
    spec_make(campaign, &spec);
    bool found, created;
    if (!spec_find(request->api->store, &spec, &found, err))
        return false;
    if (!found && (!inputs_check(request, campaign, err) || !spec_store(request->api->store, &spec, err)))
        return false;
    return queue_submit(queue, campaign, spec.sha256, &created, err) && submit_reply(request, queue, campaign->id, err);
}
