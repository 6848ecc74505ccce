/* Settings: flags, then environment (MELA_*), then farm.json, then defaults; each remembers where it came
 * from. */
#pragma once

#include "farm/failure.h"

struct config;

/* One known setting; the table in config.c lists them all. */
struct config_setting {
    const char *name;     /* "redis": flag --redis, environment MELA_REDIS, farm.json member "redis" */
    const char *fallback; /* default, as text; NULL: none */
    const char *help;
};

/* Reads the environment and, if it exists, `file` (NULL: $MELA_CONFIG or farm.json in the working directory).
 * Unknown members of the file are config.invalid. */
struct config *config_load(const char *file, struct error *err) must_check;
void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)
#define _cleanup_config_ _cleanup_(config_free_cleanup)

/* A flag's value, which wins over everything. False with config.invalid for an unknown name. */
bool config_set_flag(struct config *config, const char *name, const char *value, struct error *err) must_check;
/* The value as text, NULL when it has none. Borrowed. */
const char *config_get(const struct config *config, const char *name);
/* Whether nobody has set it. */
bool config_is_default(const struct config *config, const char *name);
/* The value as a whole number within [low, high]; config.invalid names the setting and where it came from. */
bool config_get_integer(const struct config *config, const char *name, int64_t low, int64_t high, int64_t *out,
                        struct error *err) must_check;
/* A member of farm.json that is no single value (e.g. "pools"), or NULL. Borrowed. */
const json_t *config_get_json(const struct config *config, const char *name);
/* "failure" of farm.json, or the defaults. Borrowed. */
const struct failure_policies *config_failure(const struct config *config);
/* [{"name","value","source","help"}...] for `mela config`. "(set)" stands for the API key and for a password in a URL.
 * New reference. */
json_t *config_describe(const struct config *config);
