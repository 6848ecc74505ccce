#include "farm/campaign.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "farm/dub_spec.h"
#include "farm/image_spec.h"
#include "farm/names.h"

static const char *const class_names[] = {"urgent", "batch"};
_Static_assert(ARRAY_LENGTH(class_names) == CLASS_COUNT, "one a class");

const char *campaign_class_name(enum campaign_class class) { return class_names[class]; }

bool campaign_class_parse(const char *name, enum campaign_class *out) {
    int index;
    bool known = names_find(class_names, ARRAY_LENGTH(class_names), name, &index);
    if (known)
        *out = (enum campaign_class)index;
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

/* ---- reading a spec ---- */

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

/* What belongs to one workload: its name, its members of the spec, and who reads, writes and frees them. */
static const struct {
    const char *name, *member; /* that tells it from the others */
    const char *known[9];      /* all members, NULL-terminated */
    void (*read)(struct spec *spec, const json_t *root, struct campaign *campaign);
    void (*write)(const struct campaign *campaign, json_t *out);
    void (*clear)(struct campaign *campaign);
} workloads[] = {
    [WORKLOAD_DUBS] = {"dubs",
                       "dubs",
                       {"id", "name", "class", "deadline", "budget_usd", "video", "dubs", "options", NULL},
                       dub_spec_read,
                       dub_spec_write,
                       dub_spec_clear},
    [WORKLOAD_IMAGES] = {"images",
                         "images",
                         {"id", "name", "class", "deadline", "budget_usd", "images", NULL},
                         image_spec_read,
                         image_spec_write,
                         image_spec_clear},
};
_Static_assert(ARRAY_LENGTH(workloads) == WORKLOAD_COUNT, "one a workload");

const char *workload_name(enum workload workload) { return workloads[workload].name; }

/* A spec that names none is taken for one of dubs, whose members are then missing. */
static enum workload find_workload(struct spec *spec, const json_t *root) {
    enum workload found = WORKLOAD_DUBS;
    int count = 0;
    for (int i = 0; i < WORKLOAD_COUNT; i++)
        if (json_object_get(root, workloads[i].member)) {
            found = count++ ? found : (enum workload)i;
        }
    if (count > 1)
        spec_problem(spec, "$", NULL, "has both dubs and images; a campaign does one of them");
    return found;
}

struct campaign *campaign_parse(const json_t *root, const char *id, json_t *problems) {
    struct spec spec = {.problems = problems};
    if (!json_is_object(root)) {
        spec_problem(&spec, "$", NULL, "is not a JSON object");
        return NULL;
    }
    size_t before = json_array_size(problems);
    _cleanup_campaign_ struct campaign *campaign = xnew(struct campaign);
    campaign->id = xstrdup(id);
    campaign->workload = find_workload(&spec, root);
    spec_unknown_members(&spec, root, "$", workloads[campaign->workload].known);
    read_head(&spec, root, campaign);
    workloads[campaign->workload].read(&spec, root, campaign);
    return json_array_size(problems) == before ? steal(campaign) : NULL;
}

/* ---- writing one ---- */

json_t *campaign_to_json(const struct campaign *campaign) {
    json_t *json = json_pack("{s:s,s:s,s:s}", "id", campaign->id, "name", campaign->name, "class",
                             campaign_class_name(campaign->class));
    if (campaign->deadline_ms) {
        char deadline[32];
        clock_format_iso(campaign->deadline_ms, deadline);
        json_object_set_new(json, "deadline", json_string(deadline));
    }
    if (campaign->budget_usd > 0)
        json_object_set_new(json, "budget_usd", json_real(campaign->budget_usd));
    workloads[campaign->workload].write(campaign, json);
    return json;
}

json_t *campaign_warnings(const struct campaign *campaign) {
    json_t *warnings = json_array();
    image_spec_warn(campaign, warnings);
    return warnings;
}

void campaign_free(struct campaign *campaign) {
    workloads[campaign->workload].clear(campaign);
    free(campaign->id);
    free(campaign->name);
    free(campaign);
}
