#include "farm/campaign.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "farm/names.h"
#include "farm/spec.h"

static const char *const class_names[] = {"urgent", "batch"};
static const char *const sync_names[] = {"cut_off", "loop", "bounce", "silence"};
_Static_assert(ARRAY_LENGTH(class_names) == CLASS_COUNT, "one a class");

const char *campaign_class_name(enum campaign_class class) { return class_names[class]; }
static const char *sync_mode_name(enum sync_mode mode) { return sync_names[mode]; }

bool campaign_class_parse(const char *name, enum campaign_class *out) {
    int index;
    bool known = names_find(class_names, ARRAY_LENGTH(class_names), name, &index);
    if (known)
        *out = (enum campaign_class)index;
    return known;
}

static bool sync_mode_parse(const char *name, enum sync_mode *out) {
    int index;
    bool known = names_find(sync_names, ARRAY_LENGTH(sync_names), name, &index);
    if (known)
        *out = (enum sync_mode)index;
    return known;
}

bool campaign_id_is_valid(const char *id) {
    size_t length = strlen(id);
    return length > 0 && length <= CAMPAIGN_ID_MAX && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
           id[0] != '-' && id[length - 1] != '-';
}

bool campaign_id_check(const char *id, struct error *err) {
    return campaign_id_is_valid(id) || error_set(err, ERR_QUEUE_NOT_FOUND, "\"%.200s\" is no campaign id", id);
}

/* The shape of a BCP 47 tag: a primary subtag of two or three letters, then subtags of two to eight (RFC
 * 5646, 2.1). */
bool language_is_valid(const char *language) {
    if (strlen(language) > LANGUAGE_MAX)
        return false;
    size_t primary = 0;
    while (isalpha((unsigned char)language[primary]))
        primary++;
    if (primary < 2 || primary > 3)
        return false;
    for (const char *rest = language + primary; *rest;) {
        size_t length = 0;
        while (*rest == '-' && isalnum((unsigned char)rest[length + 1]))
            length++;
        if (length < 2 || length > 8)
            return false;
        rest += length + 1;
    }
    return true;
}

char *campaign_make_id(const char *name, const char *seed) {
    enum { NAME_PART = 40, HASH_PART = 16 /* 64 bits: no two of billions meet */ };
    char slug[NAME_PART + 1];
    size_t length = 0;
    for (; *name && length < NAME_PART; name++) {
        if (isascii((unsigned char)*name) && isalnum((unsigned char)*name))
            slug[length++] = (char)tolower((unsigned char)*name);
        else if (length > 0 && slug[length - 1] != '-')
            slug[length++] = '-';
    }
    while (length > 0 && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of(seed, strlen(seed), hash);
    hex_encode(hash, sizeof hash, hex);
    return xasprintf("%s%s%.*s", slug, length ? "-" : "c-", HASH_PART, hex);
}

static struct speaker default_speaker(void) { return (struct speaker){.kind = SPEAKER_LARGEST}; }

/* ---- reading a spec ---- */

static void read_uri(struct spec *spec, const json_t *object, const char *key, const char *path, char **out) {
    const char *uri = spec_string(spec, object, key, path, true, 1, 2048);
    if (!uri)
        return;
    bool s3 = strncmp(uri, "s3://", 5) == 0, uploaded = strncmp(uri, "sha256:", 7) == 0;
    const char *slash = s3 ? strchr(uri + 5, '/') : NULL;
    if (!s3 && !uploaded)
        spec_problem(spec, path, key, "is not s3://bucket/key or sha256:<64 hex digits of an uploaded file>");
    else if (uploaded && !is_sha256_hex(uri + 7))
        spec_problem(spec, path, key, "needs 64 lower-case hex digits behind sha256:");
    else if (s3 && (!slash || slash == uri + 5 || slash[1] == '\0'))
        spec_problem(spec, path, key, "needs a bucket and a key: s3://bucket/key");
    else if (s3 && spec_path_escapes(slash + 1))
        spec_problem(spec, path, key, "has an empty, '.' or '..' part or a control character in its key");
    else
        *out = xstrdup(uri);
}

static bool read_fractions(const json_t *list, size_t count, double *out) {
    if (!json_is_array(list) || json_array_size(list) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        out[i] = json_is_number(value) ? json_number_value(value) : -1;
        if (!(out[i] >= 0 && out[i] <= 1))
            return false;
    }
    return true;
}

static void read_speaker(struct spec *spec, const json_t *options, struct speaker *speaker) {
    const json_t *value = json_object_get(options, "speaker");
    double n[4];
    if (!value || (json_is_string(value) && strcmp(json_string_value(value), "largest") == 0))
        return;
    if (json_object_size(value) == 1 && read_fractions(json_object_get(value, "point"), 2, n))
        *speaker = (struct speaker){SPEAKER_POINT, n[0], n[1], 0, 0};
    else if (json_object_size(value) == 1 && read_fractions(json_object_get(value, "box"), 4, n) && n[2] > 0 &&
             n[3] > 0)
        *speaker = (struct speaker){SPEAKER_BOX, n[0], n[1], n[2], n[3]};
    else
        spec_problem(spec, "$.options", "speaker",
                     "is not \"largest\", {\"point\":[x,y]} or {\"box\":[x,y,width,height]} in fractions of "
                     "the picture");
}

static void campaign_read_options(struct spec *spec, const json_t *root, struct campaign_options *out) {
    static const char *const known[] = {"lips", "enhance", "sync", "segment_seconds", "speaker", "quality", NULL};
    *out = (struct campaign_options){.segment_seconds = 10, .quality = 18, .speaker = default_speaker()};
    const json_t *options = json_object_get(root, "options");
    if (options && !json_is_object(options))
        spec_problem(spec, "$", "options", "is not an object");
    spec_unknown_members(spec, options, "$.options", known);
    const char *lips = spec_string(spec, options, "lips", "$.options", false, 1, 64);
    if (lips && strspn(lips, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(lips))
        spec_problem(spec, "$.options", "lips", "is not a model's name (lower-case letters, digits, '-', '_', '.')");
    out->lips = xstrdup(lips ? lips : CAMPAIGN_LIPS);
    out->enhance = spec_bool(spec, options, "enhance", "$.options", false);
    const char *sync = spec_string(spec, options, "sync", "$.options", false, 1, 16);
    if (sync && !sync_mode_parse(sync, &out->sync))
        spec_problem(spec, "$.options", "sync", "is not cut_off, loop, bounce or silence");
    out->segment_seconds = spec_number(spec, options, "segment_seconds", "$.options", 1, 60, 10);
    out->quality = spec_integer(spec, options, "quality", "$.options", 0, 51, 18);
    read_speaker(spec, options, &out->speaker);
}

static int compare_languages(const void *a, const void *b) {
    return strcasecmp((*(const struct dub *const *)a)->language, (*(const struct dub *const *)b)->language);
}

/* Sorts pointers to the dubs by language, so that those of one language stand side by side; the later one is the
 * problem. */
static void check_duplicates(struct spec *spec, const struct campaign *campaign) {
    _cleanup_free_ const struct dub **sorted = xcalloc(campaign->dub_count, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < campaign->dub_count; i++)
        if (campaign->dubs[i].language)
            sorted[count++] = &campaign->dubs[i];
    qsort(sorted, count, sizeof *sorted, compare_languages);
    for (size_t i = 1; i < count; i++)
        if (compare_languages(&sorted[i - 1], &sorted[i]) == 0) {
            _cleanup_free_ char *path = xasprintf("$.dubs[%td]", MAX(sorted[i - 1], sorted[i]) - campaign->dubs);
            spec_problem(spec, path, "language", "is there twice; every language can be dubbed once");
        }
}

static void read_dubs(struct spec *spec, const json_t *root, struct campaign *campaign) {
    static const char *const known[] = {"language", "audio", NULL};
    const json_t *dubs = json_object_get(root, "dubs");
    size_t count = json_array_size(dubs);
    if (!json_is_array(dubs) || count < 1 || count > CAMPAIGN_DUBS_MAX) {
        spec_problem(spec, "$", "dubs", "is not a list of 1 to 200 dubs, each {\"language\", \"audio\"}");
        return;
    }
    campaign->dubs = xnew_array(struct dub, count);
    campaign->dub_count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *dub = json_array_get(dubs, i);
        _cleanup_free_ char *path = xasprintf("$.dubs[%zu]", i);
        if (!json_is_object(dub)) {
            spec_problem(spec, path, NULL, "is not an object");
            continue;
        }
        spec_unknown_members(spec, dub, path, known);
        const char *language = spec_string(spec, dub, "language", path, true, 1, 256);
        if (language && !language_is_valid(language))
            spec_problem(spec, path, "language", "is not a language tag such as \"hi\" or \"pt-BR\"");
        else
            campaign->dubs[i].language = xstrdup(language);
        read_uri(spec, dub, "audio", path, &campaign->dubs[i].audio);
    }
    check_duplicates(spec, campaign);
}

static void read_head(struct spec *spec, const json_t *root, struct campaign *campaign) {
    campaign->name = xstrdup(spec_string(spec, root, "name", "$", true, 1, 200));
    campaign->class = CLASS_BATCH;
    const char *class = spec_string(spec, root, "class", "$", false, 1, 16);
    if (class && !campaign_class_parse(class, &campaign->class))
        spec_problem(spec, "$", "class", "is not urgent or batch");
    const char *deadline = spec_string(spec, root, "deadline", "$", false, 1, 64);
    if (deadline && !clock_parse_iso(deadline, &campaign->deadline_ms))
        spec_problem(spec, "$", "deadline", "is not a time such as 2026-11-08T18:00:00+05:30");
    campaign->budget_usd = spec_number(spec, root, "budget_usd", "$", 0, 1e9, 0);
}

struct campaign *campaign_parse(const json_t *root, const char *id, json_t *problems) {
    static const char *const known[] = {"id",    "name", "class",   "deadline", "budget_usd",
                                        "video", "dubs", "options", NULL};
    struct spec spec = {.problems = problems};
    if (!json_is_object(root)) {
        spec_problem(&spec, "$", NULL, "is not a JSON object");
        return NULL;
    }
    size_t before = json_array_size(problems);
    _cleanup_campaign_ struct campaign *campaign = xnew(struct campaign);
    campaign->id = xstrdup(id);
    spec_unknown_members(&spec, root, "$", known);
    read_head(&spec, root, campaign);
    read_uri(&spec, root, "video", "$", &campaign->video);
    read_dubs(&spec, root, campaign);
    campaign_read_options(&spec, root, &campaign->options);
    return json_array_size(problems) == before ? steal(campaign) : NULL;
}

/* ---- writing one ---- */

static json_t *speaker_to_json(const struct speaker *speaker) {
    switch (speaker->kind) {
    case SPEAKER_POINT:
        return json_pack("{s:[f,f]}", "point", speaker->x, speaker->y);
    case SPEAKER_BOX:
        return json_pack("{s:[f,f,f,f]}", "box", speaker->x, speaker->y, speaker->width, speaker->height);
    default:
        return json_string("largest");
    }
}

json_t *campaign_to_json(const struct campaign *campaign) {
    json_t *dubs = json_array();
    for (size_t i = 0; i < campaign->dub_count; i++)
        json_array_append_new(
            dubs, json_pack("{s:s,s:s}", "language", campaign->dubs[i].language, "audio", campaign->dubs[i].audio));
    const struct campaign_options *o = &campaign->options;
    json_t *options = json_pack("{s:s,s:b,s:s,s:f,s:o,s:i}", "lips", o->lips, "enhance", o->enhance, "sync",
                                sync_mode_name(o->sync), "segment_seconds", o->segment_seconds, "speaker",
                                speaker_to_json(&o->speaker), "quality", o->quality);
    json_t *json = json_pack("{s:s,s:s,s:s}", "id", campaign->id, "name", campaign->name, "class",
                             campaign_class_name(campaign->class));
    if (campaign->deadline_ms) {
        char deadline[32];
        clock_format_iso(campaign->deadline_ms, deadline);
        json_object_set_new(json, "deadline", json_string(deadline));
    }
    if (campaign->budget_usd > 0)
        json_object_set_new(json, "budget_usd", json_real(campaign->budget_usd));
    json_object_set_new(json, "video", json_string(campaign->video));
    json_object_set_new(json, "dubs", dubs);
    json_object_set_new(json, "options", options);
    return json;
}

void campaign_free(struct campaign *campaign) {
    for (size_t i = 0; i < campaign->dub_count; i++) {
        free(campaign->dubs[i].language);
        free(campaign->dubs[i].audio);
    }
    free(campaign->dubs);
    free(campaign->id);
    free(campaign->name);
    free(campaign->video);
    free(campaign->options.lips);
    free(campaign);
}
