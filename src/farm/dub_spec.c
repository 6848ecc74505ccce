#include "farm/dub_spec.h"

#include <string.h>

#include "base/memory.h"
#include "farm/names.h"

static const char *const sync_names[] = {"cut_off", "loop", "bounce", "silence"};

static const char *sync_mode_name(enum sync_mode mode) { return sync_names[mode]; }

static bool sync_mode_parse(const char *name, enum sync_mode *out) {
    int index;
    bool known = names_find(sync_names, ARRAY_LENGTH(sync_names), name, &index);
    if (known)
        *out = (enum sync_mode)index;
    return known;
}

static struct speaker default_speaker(void) { return (struct speaker){.kind = SPEAKER_LARGEST}; }

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

static void read_options(struct spec *spec, const json_t *root, struct campaign_options *out) {
    static const char *const known[] = {"lips", "enhance", "sync", "segment_seconds", "speaker", "quality", NULL};
    *out = (struct campaign_options){.segment_seconds = 10, .quality = 18, .speaker = default_speaker()};
    const json_t *options = json_object_get(root, "options");
    if (options && !json_is_object(options))
        spec_problem(spec, "$", "options", "is not an object");
    spec_unknown_members(spec, options, "$.options", known);
    const char *lips = spec_model_name(spec, options, "lips", "$.options", false);
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
        spec_uri(spec, dub, "audio", path, &campaign->dubs[i].audio);
    }
    check_duplicates(spec, campaign);
}

void dub_spec_read(struct spec *spec, const json_t *root, struct campaign *campaign) {
    spec_uri(spec, root, "video", "$", &campaign->video);
    read_dubs(spec, root, campaign);
    read_options(spec, root, &campaign->options);
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

void dub_spec_write(const struct campaign *campaign, json_t *out) {
    json_t *dubs = json_array();
    for (size_t i = 0; i < campaign->dub_count; i++)
        json_array_append_new(
            dubs, json_pack("{s:s,s:s}", "language", campaign->dubs[i].language, "audio", campaign->dubs[i].audio));
    const struct campaign_options *o = &campaign->options;
    json_object_set_new(out, "video", json_string(campaign->video));
    json_object_set_new(out, "dubs", dubs);
    json_object_set_new(out, "options",
                        json_pack("{s:s,s:b,s:s,s:f,s:o,s:i}", "lips", o->lips, "enhance", o->enhance, "sync",
                                  sync_mode_name(o->sync), "segment_seconds", o->segment_seconds, "speaker",
                                  speaker_to_json(&o->speaker), "quality", o->quality));
}

void dub_spec_clear(struct campaign *campaign) {
    for (size_t i = 0; i < campaign->dub_count; i++) {
        free(campaign->dubs[i].language);
        free(campaign->dubs[i].audio);
    }
    free(campaign->dubs);
    free(campaign->video);
    free(campaign->options.lips);
}
