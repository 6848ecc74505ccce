/* Settings. A flag goes before the environment (MELA_*), that before farm.json, that before the default; each setting
 * knows where its value came from. Once loaded it is only read, so threads may share it. */
#pragma once

#include "farm/failure.h"

struct config;

/* One known setting; the table in config.c lists them all. */
struct config_setting {
    const char *name;     /* "redis": flag --redis, environment MELA_REDIS, farm.json member "redis" */
    const char *fallback; /* default, as text; NULL: none */
    const char *help;
};

/* Reads the environment and `file` (NULL: $MELA_CONFIG, else farm.json of the working directory, which may be missing).
 * The caller frees it. NULL with config.invalid for an unknown member or a wrong value, json.invalid, or io. */
struct config *config_load(const char *file, struct error *err) must_check;
void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)
#define _cleanup_config_ _cleanup_(config_free_cleanup)

/* A flag's value, which wins over everything. False with config.invalid for an unknown name. */
bool config_set_flag(struct config *config, const char *name, const char *value, struct error *err) must_check;
/* The value as text, NULL when it has none. Borrowed. */
const char *config_get(const struct config *config, const char *name);
/* Whether neither a flag, nor the environment, nor the file has set it. */
bool config_is_default(const struct config *config, const char *name);
/* The value as a whole number within [low, high]; config.invalid names the setting and where it came from. */
bool config_get_integer(const struct config *config, const char *name, int64_t low, int64_t high, int64_t *out,
                        struct error *err) must_check;
/* A member of farm.json that is no single value, such as "pools"; NULL when there is none. Borrowed. */
const json_t *config_get_json(const struct config *config, const char *name);
/* "failure" of farm.json, or the defaults. Borrowed. */
const struct failure_policies *config_failure(const struct config *config);
/* [{"name","value","source","help"}...] for `mela config`. "(set)" stands for the API key and for a password in a URL.
 * New reference. */
json_t *config_describe(const struct config *config);
