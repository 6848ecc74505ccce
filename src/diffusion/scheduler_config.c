#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "diffusion/scheduler.h"

enum { CONFIG_LIMIT = 1 << 16 };

static const struct {
    const char *name, *class_name;
} kinds[SCHEDULER_KINDS] = {
    [SCHEDULER_EULER] = {"euler", "EulerDiscreteScheduler"},
    [SCHEDULER_EULER_ANCESTRAL] = {"euler_ancestral", "EulerAncestralDiscreteScheduler"},
    [SCHEDULER_DPM] = {"dpmpp_2m", "DPMSolverMultistepScheduler"},
    [SCHEDULER_LCM] = {"lcm", "LCMScheduler"},
};

const char *scheduler_kind_name(enum scheduler_kind kind) { return kinds[kind].name; }

static const char *const spacings[SPACING_KINDS] = {"linspace", "leading", "trailing"};

/* Options that change nothing here, or only at another value than those allowed. */
static const struct {
    const char *name, *allowed; /* JSON, separated by spaces; NULL: any */
} fixed_options[] = {
    /* of all */
    {"_diffusers_version", NULL},
    {"num_train_timesteps", "1000"},
    {"beta_schedule", "\"scaled_linear\""},
    {"trained_betas", "null"},
    {"rescale_betas_zero_snr", "false"},
    {"final_sigmas_type", "\"zero\""},
    {"use_exponential_sigmas", "false null"},
    {"use_beta_sigmas", "false null"},
    {"interpolation_type", "\"linear\""},
    {"timestep_type", "\"discrete\""},
    {"sigma_min", "null"},
    {"sigma_max", "null"},
    /* DPMSolverMultistep's. With a final sigma of zero the last step is of first order whatever these say. */
    {"solver_order", "2"},
    {"algorithm_type", "\"dpmsolver++\""},
    {"solver_type", "\"midpoint\""},
    {"lower_order_final", "true false"},
    {"euler_at_final", "true false"},
    {"thresholding", "false"},
    {"dynamic_thresholding_ratio", NULL},
    {"lambda_min_clipped", "null"},
    {"variance_type", "null"},
    {"use_lu_lambdas", "false null"},
    {"use_flow_sigmas", "false null"},
    {"flow_shift", NULL},
    {"use_dynamic_shifting", "false"},
    {"time_shift_type", NULL},
    /* LCM's, and those that SDXL's configs keep of schedulers before it; what is there of the past has no effect. */
    {"clip_sample", "false"},
    {"clip_sample_range", NULL},
    {"sample_max_value", NULL},
    {"set_alpha_to_one", NULL},
    {"skip_prk_steps", NULL},
};

static bool is_allowed(const char *allowed, const char *text) {
    size_t length = strlen(text);
    for (const char *at = allowed; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, text, length) == 0 && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return !allowed;
}

static bool unsupported(const char *name, const json_t *value, struct error *err) {
    _cleanup_free_ char *text = json_line(value);
    return error_set(err, ERR_SCHEDULER_UNSUPPORTED, "the scheduler's option \"%s\" of %s is not supported", name,
                     text);
}

static bool check_fixed(const char *name, const json_t *value, struct error *err) {
    _cleanup_free_ char *text = json_line(value);
    for (size_t i = 0; i < ARRAY_LENGTH(fixed_options); i++)
        if (strcmp(fixed_options[i].name, name) == 0)
            return is_allowed(fixed_options[i].allowed, text) || unsupported(name, value, err);
    return unsupported(name, value, err);
}

/* --- options that are read --- */

static bool read_kind(const json_t *value, struct scheduler_config *out) {
    for (size_t i = 0; i < ARRAY_LENGTH(kinds) && json_is_string(value); i++)
        if (strcmp(json_string_value(value), kinds[i].class_name) == 0) {
            out->kind = i;
            return true;
        }
    return false;
}

static bool find_spacing(const char *name, struct scheduler_config *out) {
    for (size_t i = 0; i < ARRAY_LENGTH(spacings); i++)
        if (strcmp(name, spacings[i]) == 0) {
            out->spacing = i;
            return true;
        }
    return false;
}

static bool read_spacing(const json_t *value, struct scheduler_config *out) {
    return json_is_string(value) && find_spacing(json_string_value(value), out);
}

static bool read_karras(const json_t *value, struct scheduler_config *out) {
    out->karras = json_is_true(value);
    return json_is_boolean(value) || json_is_null(value);
}

static bool read_prediction(const json_t *value, struct scheduler_config *out) {
    _cleanup_free_ char *text = json_line(value);
    out->v_prediction = strcmp(text, "\"v_prediction\"") == 0;
    return out->v_prediction || strcmp(text, "\"epsilon\"") == 0;
}

static bool read_beta(const json_t *value, double *out) {
    *out = json_number_value(value);
    return json_is_number(value) && *out > 0 && *out < 1;
}

static bool read_beta_start(const json_t *value, struct scheduler_config *out) {
    return read_beta(value, &out->beta_start);
}

static bool read_beta_end(const json_t *value, struct scheduler_config *out) {
    return read_beta(value, &out->beta_end);
}

static bool read_count(const json_t *value, int least, int most, int *out) {
    json_int_t number = json_integer_value(value);
    *out = (int)CLAMP(number, least, most);
    return json_is_integer(value) && number == *out;
}

static bool read_steps_offset(const json_t *value, struct scheduler_config *out) {
    return read_count(value, 0, SCHEDULER_TRAINED - 1, &out->steps_offset);
}

static bool read_original_steps(const json_t *value, struct scheduler_config *out) {
    return read_count(value, 1, SCHEDULER_TRAINED, &out->original_steps);
}

static bool read_timestep_scaling(const json_t *value, struct scheduler_config *out) {
    out->timestep_scaling = json_number_value(value);
    return json_is_number(value) && out->timestep_scaling > 0 && out->timestep_scaling <= 1e6;
}

static const struct {
    const char *name;
    bool (*read)(const json_t *value, struct scheduler_config *out);
} read_options[] = {
    {"_class_name", read_kind},
    {"timestep_spacing", read_spacing},
    {"use_karras_sigmas", read_karras},
    {"prediction_type", read_prediction},
    {"beta_start", read_beta_start},
    {"beta_end", read_beta_end},
    {"steps_offset", read_steps_offset},
    {"original_inference_steps", read_original_steps},
    {"timestep_scaling", read_timestep_scaling},
};

static bool read_option(const char *name, const json_t *value, struct scheduler_config *out, struct error *err) {
    for (size_t i = 0; i < ARRAY_LENGTH(read_options); i++)
        if (strcmp(read_options[i].name, name) == 0)
            return read_options[i].read(value, out) || unsupported(name, value, err);
    return check_fixed(name, value, err);
}

/* --- the file --- */

/* diffusers writes Python's -Infinity for lambda_min_clipped, "no limit". */
static void replace_infinity(char *text) {
    static const char infinity[] = "-Infinity", replacement[] = "null     ";
    bool quoted = false;
    for (char *at = text; *at; at++) {
        if (*at == '"' && (at == text || at[-1] != '\\'))
            quoted = !quoted;
        if (!quoted && strncmp(at, infinity, sizeof infinity - 1) == 0)
            memcpy(at, replacement, sizeof infinity - 1);
    }
}

/* What diffusers takes where a config says nothing; it has other defaults for the betas, which are not of SDXL, so
 * those must be there. */
static bool read_config(json_t *json, struct scheduler_config *out, struct error *err) {
    static const char *const needed[] = {"_class_name", "beta_start", "beta_end", "beta_schedule"};
    for (size_t i = 0; i < ARRAY_LENGTH(needed); i++)
        if (!json_object_get(json, needed[i]))
            return error_set(err, ERR_MODEL_INVALID, "\"%s\" is missing", needed[i]);
    *out = (struct scheduler_config){.original_steps = 50, .timestep_scaling = 10};
    const char *name;
    json_t *value;
    json_object_foreach (json, name, value)
        if (!read_option(name, value, out, err))
            return false;
    return out->beta_start <= out->beta_end ||
           error_set(err, ERR_MODEL_INVALID, "\"beta_start\" is larger than \"beta_end\"");
}

bool scheduler_config_load(const char *path, struct scheduler_config *out, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, CONFIG_LIMIT, &text, err))
        return false;
    buffer_append(&text, "", 0); /* of an empty file there is a text too */
    replace_infinity(text.data);
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, err);
    if (!json)
        return error_set(err, ERR_MODEL_INVALID, "%s is not JSON", path);
    return read_config(json, out, err) || error_wrap(err, "%s", path);
}

/* --- a choice instead --- */

static bool choose_kind(const char *name, struct scheduler_config *config) {
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0) {
            config->kind = i;
            return true;
        }
    return false;
}

bool scheduler_config_choose(struct scheduler_config *config, const struct scheduler_choice *choice,
                             struct error *err) {
    if (choice->name && !choose_kind(choice->name, config))
        return error_set(err, ERR_SCHEDULER_UNSUPPORTED,
                         "there is no scheduler \"%s\": choose euler, euler_ancestral, dpmpp_2m or lcm", choice->name);
    if (config->kind == SCHEDULER_LCM && (choice->spacing || choice->karras >= 0))
        return error_set(err, ERR_SCHEDULER_UNSUPPORTED, "lcm has neither spacings nor Karras' sigmas: leave them out");
    if (choice->spacing && !find_spacing(choice->spacing, config))
        return error_set(err, ERR_SCHEDULER_UNSUPPORTED,
                         "there is no spacing \"%s\": choose linspace, leading or trailing", choice->spacing);
    if (choice->karras >= 0)
        config->karras = choice->karras;
    return true;
}

json_t *scheduler_config_to_json(const struct scheduler_config *config) {
    return json_pack("{s:s,s:s,s:b,s:s}", "name", kinds[config->kind].name, "spacing", spacings[config->spacing],
                     "karras", config->karras, "prediction", config->v_prediction ? "v_prediction" : "epsilon");
}
