/* Schedulers: how noise becomes a picture in n steps, as diffusers 0.40 computes it (schedulers/scheduling_*.py):
 * EulerDiscrete, EulerAncestralDiscrete, DPMSolverMultistep (DPM-Solver++ 2M) and LCM. Tables have diffusers' precision
 * (float32, with float64 where it has that), steps are float32. They all end with a sigma of zero.
 *
 * Where this differs on purpose: EulerAncestralDiscrete may use Karras' sigmas, which diffusers only has for the
 * others; and spacing "trailing" has n steps for n = 61 too, where numpy's arange gives diffusers one more, at time -1.
 */
#pragma once

#include "base/json.h"

enum scheduler_kind { SCHEDULER_EULER, SCHEDULER_EULER_ANCESTRAL, SCHEDULER_DPM, SCHEDULER_LCM, SCHEDULER_KINDS };
enum scheduler_spacing { SPACING_LINSPACE, SPACING_LEADING, SPACING_TRAILING, SPACING_KINDS };

enum { SCHEDULER_TRAINED = 1000, SCHEDULER_STEPS = 500 }; /* of training; at most for a picture */

/* What a model's scheduler_config.json says. */
struct scheduler_config {
    enum scheduler_kind kind;
    enum scheduler_spacing spacing; /* not of LCM */
    bool karras;                    /* not of LCM */
    bool v_prediction;              /* the network gives the velocity; else the noise */
    double beta_start, beta_end;    /* scaled linear */
    int steps_offset;               /* of spacing "leading" */
    int original_steps;             /* of LCM: how many it was distilled from */
    double timestep_scaling;        /* of LCM */
};

/* Strict: scheduler.unsupported names the class, or the option and its value, that is not understood; model.invalid
 * when it is no such file at all. diffusers' -Infinity, which is not JSON, is understood. */
bool scheduler_config_load(const char *path, struct scheduler_config *out, struct error *err) must_check;

/* "euler", "euler_ancestral", "dpmpp_2m", "lcm". Static. */
const char *scheduler_kind_name(enum scheduler_kind kind);

/* What a picture's author may choose instead; NULL, or -1, is as the model has it. */
struct scheduler_choice {
    const char *name;    /* of a scheduler_kind */
    const char *spacing; /* "linspace", "leading", "trailing" */
    int karras;          /* 0, 1 */
};
/* scheduler.unsupported for a name that there is not, and for what LCM does not have. */
bool scheduler_config_choose(struct scheduler_config *config, const struct scheduler_choice *choice,
                             struct error *err) must_check;

/* {"name": as a choice has it, "spacing", "karras", "prediction": "epsilon" or "v_prediction"}. New reference. */
json_t *scheduler_config_to_json(const struct scheduler_config *config);

/* A table of times and sigmas, and what the last step left for the next. */
struct scheduler;
/* picture.invalid when there cannot be so many steps. The caller frees it with scheduler_free. */
struct scheduler *scheduler_new(const struct scheduler_config *config, int steps, struct error *err) must_check;
void scheduler_free(struct scheduler *scheduler);
DEFINE_CLEANUP(struct scheduler *, scheduler_free)
#define _cleanup_scheduler_ _cleanup_(scheduler_free_cleanup)

/* The table, borrowed: times of `steps` steps, as the network takes them; sigmas of steps + 1, the last one 0. LCM has
 * no sigmas: NULL. */
const float *scheduler_times(const struct scheduler *scheduler);
const float *scheduler_sigmas(const struct scheduler *scheduler);
/* What noise of deviation 1 is multiplied by to be the first latents. */
float scheduler_first_scale(const struct scheduler *scheduler);
/* What the network is given at step `step`, of the latents; `out` may be `in`. */
void scheduler_scale_input(const struct scheduler *scheduler, int step, const float *in, float *out, size_t count);
/* Whether step `step` takes fresh noise: each of Euler ancestral, the last one too; of LCM each but the last. */
bool scheduler_takes_noise(const struct scheduler *scheduler, int step);
/* Step `step`: moves `latents`, `count` values, given what the network said of them; all steps from 0 on, in order, of
 * one and the same latents. `noise`: of deviation 1, as many; NULL when the step takes none. */
void scheduler_step(struct scheduler *scheduler, int step, const float *output, const float *noise, float *latents,
                    size_t count);
