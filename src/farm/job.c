#include "farm/job.h"

#include "farm/names.h"

#define KIND(id, name, workload, pool, per_language, numbered, ...)                                                    \
    [KIND_##id] = {name, WORKLOAD_##workload, POOL_##pool, per_language, numbered},
static const struct {
    const char *name;
    enum workload workload;
    enum pool pool;
    bool per_language, numbered; /* whether its id holds a language, a number */
} kinds[] = {
#include "farm/kinds.def"
};
#undef KIND
static const char *const pool_names[] = {"cpu", "lipsync", "image"};
static const char *const state_names[] = {"waiting", "ready", "delayed", "leased", "done", "dead", "cancelled"};
_Static_assert(ARRAY_LENGTH(pool_names) == POOL_COUNT, "one a pool");
_Static_assert(ARRAY_LENGTH(state_names) == JOB_STATE_COUNT, "one a state");

const char *job_kind_name(enum job_kind kind) { return kinds[kind].name; }
enum workload job_kind_workload(enum job_kind kind) { return kinds[kind].workload; }
enum pool job_kind_pool(enum job_kind kind) { return kinds[kind].pool; }
const char *pool_name(enum pool pool) { return pool_names[pool]; }
const char *job_state_name(enum job_state state) { return state_names[state]; }

bool pool_parse(const char *name, enum pool *out) {
    int index;
    bool known = names_find(pool_names, ARRAY_LENGTH(pool_names), name, &index);
    if (known)
        *out = (enum pool)index;
    return known;
}

static bool job_kind_parse(const char *name, enum job_kind *out) {
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *out = (enum job_kind)i;
            return true;
        }
    return false;
}

void job_id_format(const struct job_id *id, char out[JOB_ID_MAX + 1]) {
    const char *separator = id->language[0] ? "/" : "";
    int length =
        snprintf(out, JOB_ID_MAX + 1, "%s%s%s/%s", id->campaign, separator, id->language, kinds[id->kind].name);
    if (kinds[id->kind].numbered)
        snprintf(out + length, (size_t)(JOB_ID_MAX + 1 - length), "/%04d", id->index);
}

/* Copies the part up to the next slash or the end and moves *text behind it; false when it is empty or too long. */
static bool copy_part(const char **text, char *out, size_t size) {
    size_t length = strcspn(*text, "/");
    if (length == 0 || length >= size)
        return false;
    memcpy(out, *text, length);
    out[length] = '\0';
    *text += length + ((*text)[length] == '/');
    return true;
}

static bool parse_index(const char *text, int *index) {
    size_t digits = strspn(text, "0123456789");
    if (digits < 4 || digits > 8 || text[digits] != '\0')
        return false;
    *index = (int)strtol(text, NULL, 10);
    return true;
}

bool job_id_parse(const char *text, struct job_id *out) {
    *out = (struct job_id){0};
    char part[LANGUAGE_MAX + 1];
    if (!copy_part(&text, out->campaign, sizeof out->campaign) || !campaign_id_is_valid(out->campaign) ||
        !copy_part(&text, part, sizeof part))
        return false;
    if (language_is_valid(part)) {
        memcpy(out->language, part, sizeof part);
        if (!copy_part(&text, part, sizeof part))
            return false;
    }
    if (!job_kind_parse(part, &out->kind))
        return false;
    bool open_end = text[-1] == '/' && text[0] == '\0'; /* "a/plan/" */
    return !open_end && kinds[out->kind].per_language == (out->language[0] != '\0') &&
           (kinds[out->kind].numbered ? parse_index(text, &out->index) : text[0] == '\0');
}

bool job_id_check(const char *id, struct job_id *parsed, struct error *err) {
    return job_id_parse(id, parsed) || error_set(err, ERR_QUEUE_NOT_FOUND, "\"%.200s\" is no job id", id);
}

const char *job_id_suffix(const char *job_id) { return strchr(job_id, '/') + 1; }
