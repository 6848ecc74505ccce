#include "farm/config.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "farm/spec.h"

static const struct config_setting settings[] = {
    {"address", "http://127.0.0.1:7420", "where the farm's API answers"},
    {"key", NULL, "API key (secret)"},
    {"data", NULL, "folder of a local farm: Redis, store, keys, logs"},
    {"store", NULL, "object store: file:///folder or s3://bucket/prefix"},
    {"s3_endpoint", NULL, "endpoint of an S3 server other than AWS"},
    {"redis", "redis://127.0.0.1:6379", "Redis of the farm: redis[s]://host:port/db or unix:///path"},
    {"farm", "mela", "namespace of the farm in Redis"},
    {"listen", "127.0.0.1:7420", "address and port of the API"},
    {"keys", NULL, "file with the hashes of the API keys"},
    {"emf", NULL, "namespace of CloudWatch: metrics as lines on stdout, from mela serve and mela-worker check"},
    {"models", NULL, "folder with model weights"},
    {"manifests", NULL, "folder with the model manifests that mela ships"},
    {"device", "auto", "auto, cpu or cuda:N"},
    {"workers", NULL, "most workers that mela up starts"},
    {"cooldown", "30", "seconds without work after which a local worker ends"},
};
enum { SETTING_COUNT = ARRAY_LENGTH(settings) };

struct value {
    char *text, *source;
};

struct config {
    struct value values[SETTING_COUNT];
    struct failure_policies failure;
    json_t *file; /* the whole farm.json, or NULL */
    char *file_name;
};

/* Its index in `settings`; -1 when there is none of this name. */
static int find_setting(const char *name) {
    for (int i = 0; i < SETTING_COUNT; i++)
        if (strcmp(settings[i].name, name) == 0)
            return i;
    return -1;
}

static void config_set_value(struct config *config, int index, const char *text, const char *source) {
    free(config->values[index].text);
    free(config->values[index].source);
    config->values[index] = (struct value){xstrdup(text), xstrdup(source)};
}

static bool config_read_member(struct config *config, const char *key, const json_t *value, struct error *err) {
    int index = find_setting(key);
    if (index < 0)
        return strcmp(key, "pools") == 0 || strcmp(key, "failure") == 0 ||
               error_set(err, ERR_CONFIG_INVALID, "%s: \"%s\" is not a setting; see mela config --help",
                         config->file_name, key);
    _cleanup_free_ char *number = json_is_integer(value) ? xasprintf("%lld", json_integer_value(value)) : NULL;
    const char *text = json_is_string(value) ? json_string_value(value) : number;
    if (!text)
        return error_set(err, ERR_CONFIG_INVALID, "%s: \"%s\" is not a text or a whole number", config->file_name, key);
    config_set_value(config, index, text, config->file_name);
    return true;
}

/* A missing file counts as empty, unless the user named it. */
static bool config_read_file(struct config *config, bool required, struct error *err) {
    if (!required && access(config->file_name, F_OK) != 0)
        return true;
    _cleanup_buffer_ struct buffer text = {0};
    bool there = file_read(config->file_name, 1 << 20, &text, err);
    config->file = there ? json_parse(text.data, text.length, err) : NULL;
    if (!config->file)
        return error_wrap(err, "settings file %s", config->file_name);
    const char *key;
    json_t *value;
    json_object_foreach (config->file, key, value)
        if (!config_read_member(config, key, value, err))
            return false;
    return true;
}

static bool config_read_failure(struct config *config, struct error *err) {
    _cleanup_json_ json_t *problems = json_array();
    failure_read(config_get_json(config, "failure"), problems, &config->failure);
    return spec_ok(problems, ERR_CONFIG_INVALID, config->file_name, err);
}

static void config_read_environment(struct config *config) {
    for (int i = 0; i < SETTING_COUNT; i++) {
        _cleanup_free_ char *name = xasprintf("MELA_%s", settings[i].name);
        for (char *c = name; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        const char *text = getenv(name);
        if (text && text[0])
            config_set_value(config, i, text, name);
    }
}

struct config *config_load(const char *file, struct error *err) {
    _cleanup_config_ struct config *config = xnew(struct config);
    const char *named = file ? file : getenv("MELA_CONFIG");
    config->file_name = xstrdup(named ? named : "farm.json");
    for (int i = 0; i < SETTING_COUNT; i++)
        if (settings[i].fallback)
            config_set_value(config, i, settings[i].fallback, "default");
    if (!config_read_file(config, named != NULL, err) || !config_read_failure(config, err))
        return NULL;
    config_read_environment(config);
    return steal(config);
}

void config_free(struct config *config) {
    for (int i = 0; i < SETTING_COUNT; i++) {
        free(config->values[i].text);
        free(config->values[i].source);
    }
    json_decref(config->file);
    free(config->file_name);
    free(config);
}

bool config_set_flag(struct config *config, const char *name, const char *value, struct error *err) {
    int index = find_setting(name);
    if (index < 0)
        return error_set(err, ERR_CONFIG_INVALID, "\"%s\" is not a setting; see mela config --help", name);
    _cleanup_free_ char *source = xasprintf("--%s", name);
    for (char *c = source; *c; c++)
        if (*c == '_')
            *c = '-';
    config_set_value(config, index, value, source);
    return true;
}

bool config_is_default(const struct config *config, const char *name) {
    int index = find_setting(name);
    const char *source = index < 0 ? NULL : config->values[index].source;
    return !source || strcmp(source, "default") == 0;
}

const char *config_get(const struct config *config, const char *name) {
    int index = find_setting(name);
    return index < 0 ? NULL : config->values[index].text;
}

bool config_get_integer(const struct config *config, const char *name, int64_t low, int64_t high, int64_t *out,
                        struct error *err) {
    int index = find_setting(name);
    const char *text = index < 0 ? NULL : config->values[index].text;
    char *end = NULL;
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : 0;
    if (!text || !text[0] || *end || errno || number < low || number > high)
        return error_set(err, ERR_CONFIG_INVALID, "%s is \"%s\" (from %s), not a whole number from %lld to %lld", name,
                         text ? text : "", text ? config->values[index].source : "nowhere", (long long)low,
                         (long long)high);
    *out = number;
    return true;
}

const json_t *config_get_json(const struct config *config, const char *name) {
    return json_object_get(config->file, name);
}

const struct failure_policies *config_failure(const struct config *config) { return &config->failure; }

static void config_describe_failure(const struct config *config, json_t *list) {
    for (int i = 0; i < KIND_COUNT; i++) {
        const char *kind = job_kind_name((enum job_kind)i);
        _cleanup_free_ char *name = xasprintf("failure.%s", kind), *value = failure_describe(&config->failure, i);
        bool given = json_object_get(config_get_json(config, "failure"), kind) != NULL;
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:s,s:s}", "name", name, "value", value, "source",
                                        given ? config->file_name : "default", "help", "when such a job is given up"));
    }
}

/* A value as it may be shown: "redis://user:(set)@host". A password ends at the last @, since it may hold one itself; a
 * colon behind a slash belongs to a path. Caller frees. */
static char *config_describe_value(const char *name, const char *text) {
    if (!text || strcmp(name, "key") == 0)
        return text ? xstrdup("(set)") : NULL;
    const char *scheme = strstr(text, "://"), *user = scheme ? scheme + 3 : "", *at = strrchr(user, '@');
    const char *colon = user + strcspn(user, ":/");
    if (!at || *colon != ':' || colon > at)
        return xstrdup(text);
    return xasprintf("%.*s:(set)%s", (int)(colon - text), text, at);
}

json_t *config_describe(const struct config *config) {
    json_t *list = json_array();
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct value *value = &config->values[i];
        _cleanup_free_ char *shown = config_describe_value(settings[i].name, value->text);
        json_array_append_new(list, json_pack("{s:s,s:s?,s:s?,s:s}", "name", settings[i].name, "value", shown, "source",
                                              value->source, "help", settings[i].help));
    }
    config_describe_failure(config, list);
    return list;
}
