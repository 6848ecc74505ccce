#include "diffusion/scheduler.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define KARRAS_RHO 7.0 /* Karras et al. 2022, table 1 */

struct scheduler {
    struct scheduler_config config;
    int steps;
    float alphas_product[SCHEDULER_TRAINED]; /* cumulative */
    float times[SCHEDULER_STEPS], sigmas[SCHEDULER_STEPS + 1];
    float *previous; /* what the last step took the picture for, of DPM; owned */
};

/* --- training's noise levels --- */

/* torch.linspace of float32 on a CPU: either half from its own end, fused. */
static float torch_linspace(float first, float last, int count, int i) {
    float step = (last - first) / (float)(count - 1);
    return i < count / 2 ? fmaf(step, (float)i, first) : fmaf(-step, (float)(count - 1 - i), last);
}

/* The product is kept in double, as torch.cumprod does. */
static void fill_alphas(struct scheduler *scheduler) {
    float first = (float)sqrt(scheduler->config.beta_start), last = (float)sqrt(scheduler->config.beta_end);
    double product = 1;
    for (int i = 0; i < SCHEDULER_TRAINED; i++) {
        float root = torch_linspace(first, last, SCHEDULER_TRAINED, i);
        product *= 1 - root * root;
        scheduler->alphas_product[i] = (float)product;
    }
}

/* The root is rounded correctly; PyTorch's, where it has Intel's MKL, is one bit off in a fifth of them. */
static float trained_sigma(const struct scheduler *scheduler, int i) {
    float alphas = scheduler->alphas_product[i];
    return sqrtf((1 - alphas) / alphas);
}

/* numpy.interp over the trained sigmas. */
static double sigma_at(const struct scheduler *scheduler, double time) {
    if (time >= SCHEDULER_TRAINED - 1)
        return trained_sigma(scheduler, SCHEDULER_TRAINED - 1);
    int low = (int)time;
    double below = trained_sigma(scheduler, low), above = trained_sigma(scheduler, low + 1);
    return (above - below) * (time - low) + below;
}

/* The time whose sigma this is, interpolated on their logarithms (_sigma_to_t). */
static double time_of(const struct scheduler *scheduler, double sigma) {
    double wanted = log(sigma);
    int low = SCHEDULER_TRAINED - 2;
    while (low > 0 && logf(trained_sigma(scheduler, low)) > wanted)
        low--;
    double below = logf(trained_sigma(scheduler, low)), above = logf(trained_sigma(scheduler, low + 1));
    double weight = CLAMP((below - wanted) / (below - above), 0, 1);
    return (1 - weight) * low + weight * (low + 1);
}

/* --- times --- */

/* numpy.arange(1000, 0, -1000 / n)[i], rounded, less one: it adds a difference that has been rounded once. */
static double trailing_time(int steps, int i) {
    double start = SCHEDULER_TRAINED, difference = start - start / steps - start;
    return rint(start + i * difference) - 1;
}

static double linspace_time(int last, int count, int i) { return count == 1 ? 0 : i * ((double)last / (count - 1)); }

/* Euler and its kin: n of n. */
static double euler_time(const struct scheduler_config *config, int steps, int i) {
    int from_low = steps - 1 - i;
    switch (config->spacing) {
    case SPACING_LINSPACE:
        return (float)linspace_time(SCHEDULER_TRAINED - 1, steps, from_low);
    case SPACING_LEADING:
        return from_low * (SCHEDULER_TRAINED / steps) + config->steps_offset;
    default:
        return trailing_time(steps, i);
    }
}

/* DPM: whole ones, the upper n of n + 1. */
static double dpm_time(const struct scheduler_config *config, int steps, int i) {
    int from_low = steps - i;
    switch (config->spacing) {
    case SPACING_LINSPACE:
        return rint(linspace_time(SCHEDULER_TRAINED - 1, steps + 1, from_low));
    case SPACING_LEADING:
        return from_low * (SCHEDULER_TRAINED / (steps + 1)) + config->steps_offset;
    default:
        return trailing_time(steps, i);
    }
}

/* LCM: every so many of those that it was distilled from. */
static double lcm_time(const struct scheduler_config *config, int steps, int i) {
    int chosen = (int)(i * ((double)config->original_steps / steps));
    return (config->original_steps - chosen) * (SCHEDULER_TRAINED / config->original_steps) - 1;
}

/* --- sigmas --- */

static void fill_plain(struct scheduler *scheduler) {
    bool dpm = scheduler->config.kind == SCHEDULER_DPM;
    for (int i = 0; i < scheduler->steps; i++) {
        double time = (dpm ? dpm_time : euler_time)(&scheduler->config, scheduler->steps, i);
        scheduler->times[i] = (float)time;
        scheduler->sigmas[i] = (float)sigma_at(scheduler, time);
    }
}

/* Between the first and the last of the chosen times' sigmas; of DPM, of all trained ones, and then its times are
 * whole. */
static void fill_karras(struct scheduler *scheduler) {
    const struct scheduler_config *config = &scheduler->config;
    bool dpm = config->kind == SCHEDULER_DPM;
    int steps = scheduler->steps;
    double high = dpm ? SCHEDULER_TRAINED - 1 : euler_time(config, steps, 0);
    double low = dpm ? 0 : euler_time(config, steps, steps - 1);
    double first = pow(sigma_at(scheduler, high), 1 / KARRAS_RHO), last = pow(sigma_at(scheduler, low), 1 / KARRAS_RHO);
    for (int i = 0; i < steps; i++) {
        double ramp = steps == 1 ? 0 : i * (1.0 / (steps - 1));
        double sigma = pow(first + ramp * (last - first), KARRAS_RHO), time = time_of(scheduler, sigma);
        scheduler->sigmas[i] = (float)sigma;
        scheduler->times[i] = (float)(dpm ? rint(time) : time);
    }
}

static bool check_steps(const struct scheduler_config *config, int steps, struct error *err) {
    int most = config->kind == SCHEDULER_LCM ? MIN(config->original_steps, SCHEDULER_STEPS) : SCHEDULER_STEPS;
    return (steps >= 1 && steps <= most) ||
           error_set(err, ERR_PICTURE_INVALID, "%d steps: this scheduler does 1 to %d", steps, most);
}

struct scheduler *scheduler_new(const struct scheduler_config *config, int steps, struct error *err) {
    if (!check_steps(config, steps, err))
        return NULL;
    struct scheduler *scheduler = xnew(struct scheduler);
    scheduler->config = *config;
    scheduler->steps = steps;
    fill_alphas(scheduler);
    if (config->kind == SCHEDULER_LCM)
        for (int i = 0; i < steps; i++)
            scheduler->times[i] = (float)lcm_time(config, steps, i);
    else
        (config->karras ? fill_karras : fill_plain)(scheduler);
    return scheduler;
}

void scheduler_free(struct scheduler *scheduler) {
    free(scheduler->previous);
    free(scheduler);
}

const float *scheduler_times(const struct scheduler *scheduler) { return scheduler->times; }

const float *scheduler_sigmas(const struct scheduler *scheduler) {
    return scheduler->config.kind == SCHEDULER_LCM ? NULL : scheduler->sigmas;
}

static bool is_euler(const struct scheduler *scheduler) {
    return scheduler->config.kind == SCHEDULER_EULER || scheduler->config.kind == SCHEDULER_EULER_ANCESTRAL;
}

float scheduler_first_scale(const struct scheduler *scheduler) {
    float sigma = scheduler->sigmas[0];
    if (!is_euler(scheduler))
        return 1;
    return scheduler->config.spacing == SPACING_LEADING ? sqrtf(sigma * sigma + 1) : sigma;
}

void scheduler_scale_input(const struct scheduler *scheduler, int step, const float *in, float *out, size_t count) {
    float sigma = scheduler->sigmas[step];
    float divisor = is_euler(scheduler) ? sqrtf(sigma * sigma + 1) : 1;
    for (size_t i = 0; i < count; i++)
        out[i] = in[i] / divisor;
}

bool scheduler_takes_noise(const struct scheduler *scheduler, int step) {
    return scheduler->config.kind == SCHEDULER_EULER_ANCESTRAL ||
           (scheduler->config.kind == SCHEDULER_LCM && step < scheduler->steps - 1);
}

/* --- steps --- */

/* The picture, were the network right, is (factor * latents / divisor + of_output * output) / all_by. */
struct prediction {
    float factor, divisor, of_output, all_by;
};

static float predict(const struct prediction *how, float latents, float output) {
    return (how->factor * latents / how->divisor + how->of_output * output) / how->all_by;
}

/* Latents are picture + sigma * noise. */
static struct prediction euler_prediction(const struct scheduler *scheduler, float sigma) {
    float square = sigma * sigma + 1;
    if (!scheduler->config.v_prediction)
        return (struct prediction){1, 1, -sigma, 1};
    return (struct prediction){1, square, -sigma / sqrtf(square), 1};
}

/* Latents are alpha * picture + sigma * noise, alpha^2 + sigma^2 = 1. */
static struct prediction mixed_prediction(const struct scheduler *scheduler, float alpha, float sigma) {
    if (!scheduler->config.v_prediction)
        return (struct prediction){1, 1, -sigma, alpha};
    return (struct prediction){alpha, 1, -sigma, 1};
}

/* To the level `down`. */
static void euler_step(const struct scheduler *scheduler, int step, float down, const float *output, float *latents,
                       size_t count) {
    float sigma = scheduler->sigmas[step];
    struct prediction how = euler_prediction(scheduler, sigma);
    for (size_t i = 0; i < count; i++) {
        float derivative = (latents[i] - predict(&how, latents[i], output[i])) / sigma;
        latents[i] += derivative * (down - sigma);
    }
}

/* Below the next level, and up to it by noise. */
static void ancestral_step(const struct scheduler *scheduler, int step, const float *output, const float *noise,
                           float *latents, size_t count) {
    float from = scheduler->sigmas[step], to = scheduler->sigmas[step + 1];
    float up = sqrtf(to * to * (from * from - to * to) / (from * from));
    euler_step(scheduler, step, sqrtf(to * to - up * up), output, latents, count);
    for (size_t i = 0; i < count; i++)
        latents[i] += noise[i] * up;
}

struct level {
    float alpha, sigma,
        lambda; /* lambda: half the logarithm of the ratio of signal and noise; infinite without noise */
};

static struct level dpm_level(const struct scheduler *scheduler, int step) {
    float sigma = scheduler->sigmas[step], alpha = 1 / sqrtf(sigma * sigma + 1);
    return (struct level){alpha, sigma * alpha, logf(alpha) - logf(sigma * alpha)};
}

/* DPM-Solver++ (Lu et al. 2022): the first and the last step are of first order, the others extrapolate from the two
 * last pictures. */
static void dpm_step(struct scheduler *scheduler, int step, const float *output, float *latents, size_t count) {
    struct level from = dpm_level(scheduler, step), to = dpm_level(scheduler, step + 1);
    struct prediction how = mixed_prediction(scheduler, from.alpha, from.sigma);
    float h = to.lambda - from.lambda, keep = to.sigma / from.sigma, take = to.alpha * (expf(-h) - 1), ratio = 0;
    if (step > 0 && step < scheduler->steps - 1)
        ratio = (from.lambda - dpm_level(scheduler, step - 1).lambda) / h;
    if (!scheduler->previous)
        scheduler->previous = xnew_array(float, count);
    for (size_t i = 0; i < count; i++) {
        float picture = predict(&how, latents[i], output[i]);
        latents[i] = keep * latents[i] - take * picture;
        if (ratio != 0)
            latents[i] -= 0.5F * take * ((1 / ratio) * (picture - scheduler->previous[i]));
        scheduler->previous[i] = picture;
    }
}

/* Latent consistency (Luo et al. 2023): jumps to the picture, and back up to the next level by fresh noise. */
static void lcm_step(const struct scheduler *scheduler, int step, const float *output, const float *noise,
                     float *latents, size_t count) {
    float product = scheduler->alphas_product[(int)scheduler->times[step]];
    struct prediction how = mixed_prediction(scheduler, sqrtf(product), sqrtf(1 - product));
    float time = scheduler->times[step] * (float)scheduler->config.timestep_scaling, data = 0.5F; /* its deviation */
    float skip = data * data / (time * time + data * data), out = time / sqrtf(time * time + data * data);
    float next = noise ? scheduler->alphas_product[(int)scheduler->times[step + 1]] : 1;
    float keep = sqrtf(next), add = sqrtf(1 - next);
    for (size_t i = 0; i < count; i++) {
        latents[i] = out * predict(&how, latents[i], output[i]) + skip * latents[i];
        if (noise)
            latents[i] = keep * latents[i] + add * noise[i];
    }
}

void scheduler_step(struct scheduler *scheduler, int step, const float *output, const float *noise, float *latents,
                    size_t count) {
    switch (scheduler->config.kind) {
    case SCHEDULER_EULER:
        euler_step(scheduler, step, scheduler->sigmas[step + 1], output, latents, count);
        break;
    case SCHEDULER_EULER_ANCESTRAL:
        ancestral_step(scheduler, step, output, noise, latents, count);
        break;
    case SCHEDULER_DPM:
        dpm_step(scheduler, step, output, latents, count);
        break;
    default:
        lcm_step(scheduler, step, output, noise, latents, count);
    }
}
